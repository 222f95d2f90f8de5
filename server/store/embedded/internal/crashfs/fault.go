package crashfs

// Kind is an operation that a test can make fail.
type Kind string

// The kinds of operations.
const (
	List     Kind = "list"
	Create   Kind = "create"
	Open     Kind = "open"
	Rename   Kind = "rename"
	Remove   Kind = "remove"
	SyncDir  Kind = "syncdir"
	Read     Kind = "read"
	Write    Kind = "write"
	Allocate Kind = "allocate"
	Sync     Kind = "sync"
)

// Op is an operation about to be done.
type Op struct {
	Kind   Kind
	Path   string
	Offset int64
	Bytes  int
}

// Fault is what is to go wrong with an operation; the zero value is nothing.
type Fault struct {
	// Err fails the operation. Of a write, the first Written bytes are done.
	Err error
	// Short makes a write end after Written bytes without an error.
	Short   bool
	Written int
}

// SetFault has judge decide about each operation from now on, until the next
// Crash or Kill; nil ends it. judge is called by whoever does the operation,
// and may use the file system.
func (fs *FS) SetFault(judge func(Op) Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.fault = judge
}

func (fs *FS) inject(op Op) Fault {
	fs.mu.Lock()
	judge := fs.fault
	fs.mu.Unlock()
	if judge == nil {
		return Fault{}
	}
	return judge(op)
}

// SetRoom bounds what all files may measure; a negative number, as in the
// beginning, means no bound.
func (fs *FS) SetRoom(bytes int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.room = bytes
}

// Used is what all files measure.
func (fs *FS) Used() int64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.usedLocked()
}

func (fs *FS) usedLocked() int64 {
	var n int64
	for _, content := range fs.names {
		n += int64(len(content.cached))
	}
	return n
}
