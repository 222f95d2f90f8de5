package muster

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// newCachedClient is a client that keeps its views in dir.
func newCachedClient(t *testing.T, r *fakeregistry.Registry, dir string, options ...Option) *Client {
	t.Helper()
	c, err := New([]string{"a:1"}, append([]Option{WithDial(r.Dial), WithCacheDir(dir)}, options...)...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// fill leaves the view of shop/pay in dir, as a process that ended.
func fill(t *testing.T, r *fakeregistry.Registry, dir string) *View {
	t.Helper()
	c := newCachedClient(t, r, dir)
	v := mustWait(t, mustSubscribe(t, c, "pay"), 2)
	closeClient(t, c)
	return v
}

func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCacheStartsWithoutARegistry(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("pay", "pay-2"))
		dir := filepath.Join(t.TempDir(), "made", "anew")
		want := fill(t, r, dir)
		a.Stop()
		time.Sleep(10 * time.Second)

		c := newCachedClient(t, r, dir)
		sub := mustSubscribe(t, c, "pay")
		v := sub.View()
		if diff := cmp.Diff([]string{"pay-1", "pay-2"}, ids(v)); diff != "" || v.Source() != SourceDisk || v.Freshness() != Fresh {
			t.Fatalf("the view at the start: %s, %v %v", diff, v.Source(), v.Freshness())
		}
		if v.Digest() != want.Digest() || v.Position() != want.Position() || v.Age() < 10*time.Second {
			t.Errorf("%v %x, age %v; want %v %x", v.Position(), v.Digest(), v.Age(), want.Position(), want.Digest())
		}
		mustWait(t, sub, 2) // at once
		time.Sleep(25 * time.Second)
		if got := sub.View(); got.Freshness() != Stale || got.Source() != SourceDisk {
			t.Errorf("after the outage went on: %v %v", got.Freshness(), got.Source())
		}

		a.Start()
		until(t, 10*time.Second, "the registry takes over", func() bool { return sub.View().Source() == SourceRegistry })
		requests := fakeregistry.Calls[*musterv1.WatchRequest](r)
		resume := requests[len(requests)-1].GetSubscriptions()[0].GetResume()
		if resume.GetEpoch() != want.Epoch() || resume.GetRevision() != want.Revision() || resume.GetDigest() != want.Digest() {
			t.Errorf("resumed from %v, want %v", resume, want.Position())
		}
		if v := sub.View(); v.Freshness() != Fresh || v.snapshots != 1 {
			t.Errorf("%v after %d snapshots, want the one from disk", v.Freshness(), v.snapshots)
		}
		if n := c.Stats().CacheErrors; n != 0 {
			t.Errorf("%d errors", n)
		}
	})
}

func TestCacheAgeIsByTheWallClock(t *testing.T) {
	for name, c := range map[string]struct {
		written time.Duration
		want    Freshness
	}{
		"a while ago":         {-29 * time.Second, Fresh},
		"too long ago":        {-31 * time.Second, Stale},
		"long ago":            {-11 * time.Minute, Expired},
		"the clock went back": {time.Hour, Stale},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
				r.Put(instance("pay", "pay-1"))
				r.Put(instance("pay", "pay-2"))
				dir := t.TempDir()
				fill(t, r, dir)
				a.Stop()
				edit(t, dir, func(f *rules.CacheFile) { f.WrittenMs = time.Now().Add(c.written).UnixMilli() })
				sub := mustSubscribe(t, newCachedClient(t, r, dir), "pay")
				if v := sub.View(); v.Source() != SourceDisk || v.Freshness() != c.want {
					t.Errorf("%v %v, want %v", v.Source(), v.Freshness(), c.want)
				}
			})
		})
	}
}

// edit changes the one file of a directory, with a right checksum.
func edit(t *testing.T, dir string, change func(*rules.CacheFile)) {
	t.Helper()
	path := filepath.Join(dir, namesIn(t, dir)[0])
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, fault := rules.DecodeCacheFile(content)
	if fault != "" {
		t.Fatal(fault)
	}
	change(&f)
	if err := os.WriteFile(path, rules.EncodeCacheFile(f), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCacheOfAnotherClusterIsNotContinued(t *testing.T) {
	for name, change := range map[string]func(*rules.CacheFile){
		"another cluster": func(f *rules.CacheFile) { f.ClusterID, f.Epoch = "elsewhere", 99 },
		"another view":    func(f *rules.CacheFile) { f.ViewID++ },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
				r.Put(instance("pay", "pay-1"))
				r.Put(instance("pay", "pay-2"))
				dir := t.TempDir()
				fill(t, r, dir)
				edit(t, dir, change)
				r.Put(instance("pay", "pay-3"))
				a.Stop()
				sub := mustSubscribe(t, newCachedClient(t, r, dir), "pay")
				if v := sub.View(); v.Source() != SourceDisk {
					t.Errorf("from %v: an outage of the registry would empty it", v.Source())
				}
				a.Start()
				until(t, 10*time.Second, "the registry takes over", func() bool { return sub.View().Source() == SourceRegistry })
				if v := sub.View(); len(v.Instances()) != 3 {
					t.Errorf("%v", ids(v))
				}
			})
		})
	}
}

func TestCacheOfAHigherEpochWaitsForItsServer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("pay", "pay-2"))
		dir := t.TempDir()
		fill(t, r, dir)
		edit(t, dir, func(f *rules.CacheFile) { f.Epoch = 9 })
		sub := mustSubscribe(t, newCachedClient(t, r, dir), "pay")
		time.Sleep(55 * time.Second)
		if v := sub.View(); v.Source() != SourceDisk || v.Epoch() != 9 {
			t.Errorf("%v of epoch %d, though epoch 9 was seen", v.Source(), v.Epoch())
		}
		time.Sleep(20 * time.Second)
		if v := sub.View(); v.Source() != SourceRegistry || v.Epoch() != 7 {
			t.Errorf("%v of epoch %d, though nothing else answered for a minute", v.Source(), v.Epoch())
		}
	})
}

func TestCacheDamageIsSetAside(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("pay", "pay-2"))
		dir := t.TempDir()
		fill(t, r, dir)
		a.Stop()
		name := namesIn(t, dir)[0]
		good, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		c := newCachedClient(t, r, dir)
		for at := range good {
			bad := append([]byte(nil), good...)
			bad[at] ^= 0x40
			if err := os.WriteFile(filepath.Join(dir, name), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			sub := mustSubscribe(t, c, "pay")
			if v := sub.View(); v.received {
				t.Fatalf("byte %d: a view of a damaged file", at)
			}
			sub.Close()
			want := name + asideCorrupt
			if at >= 8 && at < 12 {
				want = name + asideNewer
			}
			if got := namesIn(t, dir); len(got) == 0 || got[0] != want && got[len(got)-1] != want {
				t.Fatalf("byte %d: %v, want %s", at, got, want)
			}
		}
		if n := c.Stats().CacheErrors; n != uint64(len(good)) {
			t.Errorf("%d errors counted of %d", n, len(good))
		}
	})
}

func TestCacheOfWrongContentIsSetAside(t *testing.T) {
	for name, change := range map[string]func(*rules.CacheFile){
		"digest":     func(f *rules.CacheFile) { f.Digest++ },
		"count":      func(f *rules.CacheFile) { f.Count++ },
		"another's":  func(f *rules.CacheFile) { f.Selector = []byte("other") },
		"no message": func(f *rules.CacheFile) { f.Entries[0].Value = []byte{0xff} },
		"no state":   func(f *rules.CacheFile) { f.Entries[2].Value = []byte{0xff} },
		"no name": func(f *rules.CacheFile) {
			f.Entries = append(f.Entries, rules.CacheEntry{Kind: 3, Value: []byte{0xff}})
		},
		"an entry twice":  func(f *rules.CacheFile) { f.Entries[1] = f.Entries[0] },
		"an entry is off": func(f *rules.CacheFile) { f.Entries = f.Entries[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
				r.Put(instance("pay", "pay-1"))
				r.Put(instance("pay", "pay-2"))
				dir := t.TempDir()
				fill(t, r, dir)
				a.Stop()
				edit(t, dir, change)
				sub := mustSubscribe(t, newCachedClient(t, r, dir), "pay")
				if got := namesIn(t, dir); sub.View().received || len(got) != 1 || !strings.HasSuffix(got[0], asideCorrupt) {
					t.Errorf("received %v, files %v", sub.View().received, got)
				}
			})
		})
	}
}

// faultyFiles counts writes and fails them while broken.
type faultyFiles struct {
	cacheFiles
	mu     sync.Mutex
	writes []time.Time
	broken error
}

func (f *faultyFiles) write(name string, content []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes = append(f.writes, time.Now())
	if f.broken != nil {
		return &fs.PathError{Op: "write", Path: name, Err: f.broken}
	}
	return f.cacheFiles.write(name, content)
}

func (f *faultyFiles) set(broken error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

func (f *faultyFiles) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.writes)
}

// through puts faults between a client and its directory.
func through(f *faultyFiles) Option {
	return func(c *Config) {
		c.openCache = func(path string) (cacheFiles, error) {
			files, err := openCacheDir(path)
			f.cacheFiles = files
			return f, err
		}
	}
}

func TestCacheWritesAtMostOnceASecond(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		files, dir := &faultyFiles{}, t.TempDir()
		c := newCachedClient(t, r, dir, through(files))
		mustWait(t, mustSubscribe(t, c, "pay"), 1)
		for range 100 {
			r.Put(instance("pay", "pay-1"))
			time.Sleep(100 * time.Millisecond)
		}
		if n := files.count(); n < 9 || n > 11 {
			t.Errorf("%d writes in 10 s of change", n)
		}
		time.Sleep(2 * time.Second)
		before := files.count()
		time.Sleep(5 * time.Minute)
		if n := files.count() - before; n < 4 || n > 5 {
			t.Errorf("%d writes in 5 min without change", n)
		}
		time.Sleep(15 * time.Second) // of progress
		before = files.count()
		closeClient(t, c)
		if n := files.count() - before; n != 1 {
			t.Errorf("%d writes at the end, which sets the age", n)
		}
		info, err := os.Stat(filepath.Join(dir, namesIn(t, dir)[0]))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
}

func TestCacheFullDiskIsNotFatal(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		files, dir, log := &faultyFiles{broken: syscall.ENOSPC}, t.TempDir(), &logLines{}
		c := newCachedClient(t, r, dir, through(files), WithLogger(log.logger()))
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		for range 20 {
			r.Put(instance("pay", "pay-1"))
			time.Sleep(time.Second)
		}
		want := "cache " + dir + ": no space left on device; views are not kept on disk until that passes"
		if diff := cmp.Diff([]string{want}, log.lines()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if n := c.Stats().CacheErrors; n < 10 || len(namesIn(t, dir)) != 0 {
			t.Errorf("%d errors, files %v", n, namesIn(t, dir))
		}
		files.set(nil)
		time.Sleep(15 * time.Second)
		if got := namesIn(t, dir); len(got) != 1 {
			t.Errorf("files %v once there is room", got)
		}
	})
}

func TestCacheDirectoryIsChecked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		"":             `muster: option CacheDir: "" is not allowed; use an absolute path, or leave the option out for no cache [INVALID_ARGUMENT]`,
		"some/where":   `muster: option CacheDir: "some/where" is not allowed; use an absolute path, or leave the option out for no cache [INVALID_ARGUMENT]`,
		file + "/deep": `muster: option CacheDir: "` + file + `/deep" is not allowed; it cannot be written to (not a directory); name a directory that this process may write [INVALID_ARGUMENT]`,
	} {
		_, err := New([]string{"a:1"}, WithCacheDir(dir))
		if ReasonOf(err) != ReasonInvalidArgument || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", dir, err, want)
		}
	}
}

func TestCacheDirectoryIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("pay", "pay-2"))
		dir := t.TempDir()
		now := time.Now()
		put := func(name string, size int64, age time.Duration) {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size), os.Chtimes(path, now, now.Add(-age))); err != nil {
				t.Fatal(err)
			}
		}
		put("0000000000000001.view", defaults.CacheLimit/2, 3*time.Hour)
		put("0000000000000002.view.corrupt", defaults.CacheLimit/2, 2*time.Hour)
		put("0000000000000003.view", 1000, time.Hour)
		put(".0000000000000004.ABC.tmp", 10, 9*time.Minute)
		put(".0000000000000005.ABC.tmp", 10, 11*time.Minute)
		put("the user's own", defaults.CacheLimit, 10*time.Hour)
		fill(t, r, dir)
		want := []string{
			".0000000000000004.ABC.tmp", "0000000000000002.view.corrupt", "0000000000000003.view",
			cacheName(Service("shop", "pay").key()), "the user's own",
		}
		if diff := cmp.Diff(want, namesIn(t, dir)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
}

func TestCacheKeepsOnlyWhatIsWorthIt(t *testing.T) {
	good := View{received: true, source: SourceRegistry}
	for name, change := range map[string]func(*View){
		"":            func(*View) {},
		"nothing yet": func(v *View) { v.received = false },
		"from memory": func(v *View) { v.source = SourceMemory },
		"unverified":  func(v *View) { v.unverified = true },
		"distrusted":  func(v *View) { v.distrusted = true },
		"recovering":  func(v *View) { v.recovering = true },
	} {
		v := good
		change(&v)
		if v.cacheable() != (name == "") {
			t.Errorf("%q: cacheable %v", name, v.cacheable())
		}
	}
}

// logLines are the messages of warnings and errors, in order.
type logLines struct {
	mu  sync.Mutex
	all []string
}

func (l *logLines) logger() *slog.Logger { return slog.New(l) }

func (l *logLines) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func (l *logLines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l *logLines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logLines) WithGroup(string) slog.Handler                    { return l }
func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r.Message)
	return nil
}
