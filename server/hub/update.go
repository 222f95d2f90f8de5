package hub

import (
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/view"
)

// chunkBytes is the soft limit of one message of an update: a chunk ends with
// the first entry that passes it.
const chunkBytes = 256 << 10

// Field numbers of the frames that are put together from encoded entries. A
// test compares them with the contract.
const (
	fieldOpened   = 1
	fieldSnapshot = 2
	fieldDelta    = 3
	fieldProgress = 4

	fieldInstances = 4
	fieldServices  = 5
)

type updateKind uint8

const (
	progressUpdate updateKind = iota
	deltaUpdate
	snapshotUpdate
)

// updateKey tells the updates of a group apart.
type updateKey struct {
	kind  updateKind
	from  uint64
	to    uint64
	cause musterv1.SnapshotCause
	ack   bool
}

// update is what brings watchers of one group from one revision to another.
// It is gathered under the hub's lock, encoded at most once outside of it, and
// shared by all who need it.
type update struct {
	updateKey
	header    *musterv1.ViewHeader
	view      *view.View
	group     *group
	instances []*view.Instance
	states    []*view.State
	removals  []*musterv1.Removal
	// empty tells that the changes of a delta cancelled out: its watchers get
	// a Progress.
	empty bool
	// built is when it was made, as its header says in server_uptime_ms.
	built time.Time

	once   sync.Once
	frames [][]byte
}

// encode makes the messages, in order, once.
func (u *update) encode() [][]byte {
	u.once.Do(func() {
		switch {
		case u.kind == progressUpdate || u.empty:
			u.frames = [][]byte{wrap(fieldProgress, must(&musterv1.Progress{Header: u.header}))}
		case u.kind == deltaUpdate:
			u.encodeChunks(fieldDelta, func(c *musterv1.Chunk) proto.Message {
				return &musterv1.Delta{Header: u.header, Chunk: c, FromRevision: u.from}
			})
		default:
			u.gatherSnapshot()
			u.encodeChunks(fieldSnapshot, func(c *musterv1.Chunk) proto.Message {
				return &musterv1.Snapshot{Header: u.header, Chunk: c, Cause: u.cause}
			})
		}
		// What was gathered is encoded now; let go of it.
		u.view, u.instances, u.states, u.removals = nil, nil, nil, nil
	})
	return u.frames
}

// gatherSnapshot reads the whole set from the immutable view; the selector is
// immutable too, so the hub's lock is not needed.
func (u *update) gatherSnapshot() {
	u.group.eachService(u.view, func(s *view.Service) {
		if s.State != nil {
			u.states = append(u.states, s.State)
		}
		for in := range s.Instances {
			if u.group.holds(in) {
				u.instances = append(u.instances, in)
			}
		}
	})
}

// encodeChunks cuts the entries into messages. head makes the part of the
// message that is not entries.
func (u *update) encodeChunks(field protowire.Number, head func(*musterv1.Chunk) proto.Message) {
	c := chunker{}
	for _, s := range u.states {
		c.add(fieldServices, s.Wire)
	}
	for _, in := range u.instances {
		c.addInstance(in)
	}
	// Removals are field 6 in both frames' numbering only by accident; encode
	// them through the message that owns them.
	for _, r := range u.removals {
		c.add(0, must(&musterv1.Delta{Removals: []*musterv1.Removal{r}}))
	}
	bodies := append(c.bodies, c.body)
	for i, body := range bodies {
		position := musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL
		if i == len(bodies)-1 {
			position = musterv1.ChunkPosition_CHUNK_POSITION_FINAL
		}
		msg := append(must(head(&musterv1.Chunk{Index: uint32(i), Position: position})), body...)
		u.frames = append(u.frames, wrap(field, msg))
	}
}

// chunker collects encoded entries into bodies of about chunkBytes.
type chunker struct {
	bodies [][]byte
	body   []byte
}

// add appends an entry under a field number, or as it is if the number is 0.
func (c *chunker) add(field protowire.Number, entry []byte) {
	if len(c.body) >= chunkBytes {
		c.bodies = append(c.bodies, c.body)
		c.body = nil
	}
	if field == 0 {
		c.body = append(c.body, entry...)
		return
	}
	c.body = protowire.AppendBytes(protowire.AppendTag(c.body, field, protowire.BytesType), entry)
}

// addInstance appends an instance.
func (c *chunker) addInstance(in *view.Instance) {
	c.add(0, nil) // ends the chunk, if it is full
	c.body = protowire.AppendTag(c.body, fieldInstances, protowire.BytesType)
	c.body = in.AppendWire(protowire.AppendVarint(c.body, uint64(in.WireSize())))
}

// leastCapacity is what messages are allocated with at the least: grpc-go tells
// nobody when it has written a smaller buffer.
const leastCapacity = 1025

// wrap makes a WatchResponse of one encoded frame.
func wrap(field protowire.Number, frame []byte) []byte {
	b := make([]byte, 0, max(len(frame)+8, leastCapacity))
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), frame)
}

// must encodes a message of the server's own making, which cannot fail.
func must(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic("hub: " + err.Error())
	}
	return b
}
