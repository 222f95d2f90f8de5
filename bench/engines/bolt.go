package main

import (
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/bbolt"
)

// bolt is bbolt behind a group commit.
type bolt struct {
	db     *bbolt.DB
	queue  chan write
	joined sync.WaitGroup
}

type write struct {
	key    string
	value  []byte
	answer chan error
}

var bucket = []byte("entries")

func openBolt(dir string) (engine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, madeErr := tx.CreateBucketIfNotExists(bucket)
		return madeErr
	})
	b := &bolt{db: db, queue: make(chan write, 1<<12)}
	b.joined.Go(b.run)
	return b, err
}

func (b *bolt) put(key string, value []byte) error {
	w := write{key, value, make(chan error, 1)}
	b.queue <- w
	return <-w.answer
}

// run commits what waits in one transaction.
func (b *bolt) run() {
	var batch []write
	for w := range b.queue {
		batch = append(batch[:0], w)
		for len(b.queue) > 0 {
			batch = append(batch, <-b.queue)
		}
		err := b.db.Update(func(tx *bbolt.Tx) error {
			entries := tx.Bucket(bucket)
			for _, w := range batch {
				if err := entries.Put([]byte(w.key), w.value); err != nil {
					return err
				}
			}
			return nil
		})
		for _, w := range batch {
			w.answer <- err
		}
	}
}

func (b *bolt) close() error {
	close(b.queue)
	b.joined.Wait()
	return b.db.Close()
}
