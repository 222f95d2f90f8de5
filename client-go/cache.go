package muster

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// errTooLargeForCache is for a view that no eviction makes room for.
var errTooLargeForCache = errors.New("the view is larger than a cache directory may be")

// diskCache keeps the last verified view of each selector in a directory, so
// that a process can start while no registry answers. One goroutine writes, from
// the first view on; whoever offers views never waits for it.
type diskCache struct {
	client *Client
	files  cacheFiles
	// wake has room for one: there is something new to write.
	wake chan struct{}
	// ending is closed when everything that waits should be written at once.
	ending chan struct{}
	done   chan struct{}

	// mu guards what follows. Nothing is taken inside of it.
	mu      sync.Mutex
	started bool
	pending map[string]*View // by selector key
	failing bool

	// What follows is the goroutine's own.

	written map[string]writtenView // by selector key
	// used is at most what the directory holds; scanned is when it was looked at.
	used    uint64
	scanned time.Time
}

// writtenView is what a file holds and since when.
type writtenView struct {
	epoch, viewID, digest, count uint64
	at                           time.Time
}

func newDiskCache(c *Client, files cacheFiles) *diskCache {
	return &diskCache{
		client: c, files: files,
		wake: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{}),
		pending: make(map[string]*View), written: make(map[string]writtenView),
	}
}

// keep offers the view of a core. One that is partly fixed is not what the
// registry has.
func (d *diskCache) keep(k *core) {
	if k.fixed == nil {
		d.offer(k.key, k.view.Load())
	}
}

// offer lets a view be written soon. An older one that waits is dropped.
func (d *diskCache) offer(key string, v *View) {
	if d == nil || !v.cacheable() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	waiting := d.pending[key]
	if waiting != nil && waiting.position.Epoch == v.position.Epoch && waiting.position.Revision > v.position.Revision {
		return // a Lookup that was answered late
	}
	if waiting == nil && len(d.pending) >= defaults.CachePending {
		return
	}
	d.pending[key] = v
	if !d.started {
		d.started = true
		go d.run()
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// close writes what waits and joins the goroutine. A write that began is
// finished; once closing, which began then, took too long, none is begun.
func (d *diskCache) close(began time.Time) {
	if d == nil {
		return
	}
	d.mu.Lock()
	started := d.started
	d.started = true // nothing starts any more
	d.mu.Unlock()
	close(d.ending)
	if started {
		<-d.done
	}
	for key, v := range d.take(time.Time{}) {
		if time.Since(began) < defaults.CloseTimeout {
			d.store(key, v)
		}
	}
}

func (d *diskCache) run() {
	defer close(d.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		for key, v := range d.take(now) {
			d.store(key, v)
		}
		if next := d.nextDue(); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-d.wake:
		case <-timer.C:
		case <-d.ending:
			return
		}
	}
}

// take takes out what is due; everything at the zero time.
func (d *diskCache) take(now time.Time) map[string]*View {
	d.mu.Lock()
	defer d.mu.Unlock()
	due := make(map[string]*View)
	for key, v := range d.pending {
		if now.IsZero() || !d.dueAt(key, v).After(now) {
			due[key] = v
			delete(d.pending, key)
		}
	}
	return due
}

// nextDue is when the next view is to be written; zero if none waits.
func (d *diskCache) nextDue() (next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, v := range d.pending {
		if at := d.dueAt(key, v); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// dueAt is when a view may be written.
func (d *diskCache) dueAt(key string, v *View) time.Time {
	last, ok := d.written[key]
	switch {
	case !ok:
		return time.Time{}.Add(1) // long ago
	case last == writtenView{v.position.Epoch, v.viewID, v.digest, v.count, last.at}:
		return last.at.Add(defaults.CacheRefresh)
	default:
		return last.at.Add(defaults.CacheInterval)
	}
}

// store writes a view. Errors are counted, and logged when they begin: the
// cache is a help for a later start, and nothing fails for want of it.
func (d *diskCache) store(key string, v *View) {
	_, clusterID, _ := d.client.servers.status()
	file, err := v.cacheFile(key, clusterID, time.Now().UnixMilli())
	if err == nil {
		content := rules.EncodeCacheFile(file)
		if err = d.makeRoom(uint64(len(content)), cacheName(key)); err == nil {
			err = d.files.write(cacheName(key), content)
		}
	}
	d.written[key] = writtenView{v.position.Epoch, v.viewID, v.digest, v.count, time.Now()}
	if err != nil {
		d.written[key] = writtenView{at: time.Now()} // not what the file holds
	}
	d.outcome(err)
}

// makeRoom keeps the directory within its limit. It looks at it when the room
// could be gone, and once a minute because of other processes.
func (d *diskCache) makeRoom(needed uint64, name string) error {
	now := time.Now()
	if !d.scanned.IsZero() && d.used+needed <= defaults.CacheLimit && now.Sub(d.scanned) < defaults.CacheRefresh {
		d.used += needed
		return nil
	}
	for key, w := range d.written { // the refresh of what is still wanted forgets nothing
		if now.Sub(w.at) > 2*defaults.CacheRefresh {
			delete(d.written, key)
		}
	}
	files, err := d.files.list()
	if err != nil {
		return err
	}
	d.used, d.scanned = needed, now
	files = slices.DeleteFunc(files, func(f rules.CacheSize) bool { return f.Name == name })
	gone, fits := rules.CacheRoom(files, needed, defaults.CacheLimit)
	if !fits {
		return errTooLargeForCache
	}
	for _, f := range files {
		left := strings.HasSuffix(f.Name, tempSuffix) && now.UnixMilli()-f.ModifiedMs > defaults.CacheTempLifetime.Milliseconds()
		if left || slices.Contains(gone, f.Name) {
			err = errors.Join(err, d.files.remove(f.Name))
		} else {
			d.used += f.Bytes
		}
	}
	return err
}

// load reads the view of a selector from disk; nil if there is none. A file
// that is damaged or of a newer version is set aside, so that it is neither read
// again nor lost.
func (d *diskCache) load(key string) *diskView {
	if d == nil {
		return nil
	}
	name := cacheName(key)
	content, err := d.files.read(name)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			d.outcome(err)
		}
		return nil
	}
	file, fault := rules.DecodeCacheFile(content)
	if fault == rules.CacheNewer {
		d.setAside(name, asideNewer, string(fault))
		return nil
	}
	if fault != "" {
		d.setAside(name, asideCorrupt, string(fault))
		return nil
	}
	view, err := diskViewOf(file, key, d.client.config.FreshFor, time.Now().UnixMilli())
	if err != nil {
		d.setAside(name, asideCorrupt, err.Error())
		return nil
	}
	return view
}

func (d *diskCache) setAside(name, suffix, why string) {
	d.client.config.telemetry.counters.cacheErrors.Add(1)
	d.client.config.Logger.Warn(textCacheSetAside(d.client.config.CacheDir, name, name+suffix, why))
	if err := d.files.rename(name, name+suffix); err != nil {
		d.outcome(err)
	}
}

// outcome counts an error, and logs the first of a row.
func (d *diskCache) outcome(err error) {
	d.mu.Lock()
	first := err != nil && !d.failing
	d.failing = err != nil
	d.mu.Unlock()
	if err != nil {
		d.client.config.telemetry.counters.cacheErrors.Add(1)
	}
	if first {
		d.client.config.Logger.Warn(textCacheFailed(d.client.config.CacheDir, fileCause(err)))
	}
}
