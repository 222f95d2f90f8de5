package embedded

import "sync"

// preparer makes the log's next segment while the present one fills. It is
// one goroutine, which works on one request at a time.
type preparer struct {
	make     func(number uint64) (*segment, error)
	requests chan uint64   // at most one is under way
	results  chan prepared // one for each request
	joined   sync.WaitGroup
}

type prepared struct {
	segment *segment
	err     error
}

func startPreparer(create func(number uint64) (*segment, error)) *preparer {
	p := &preparer{make: create, requests: make(chan uint64, 1), results: make(chan prepared, 1)}
	p.joined.Go(func() {
		for number := range p.requests {
			s, err := p.make(number)
			p.results <- prepared{s, err}
		}
	})
	return p
}

// close ends and joins the goroutine. A segment that it made and nobody took
// stays on disk for the next Open.
func (p *preparer) close() error {
	close(p.requests)
	p.joined.Wait()
	select {
	case r := <-p.results:
		if r.segment != nil {
			return r.segment.file.Close()
		}
	default:
	}
	return nil
}
