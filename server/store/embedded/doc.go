// Package embedded is the store for one machine: a directory with an
// append-only log and a snapshot of the state, and nothing else to run.
//
// A mutation is durable when its log frame is. One goroutine, the committer,
// takes all proposals that wait, decides them, writes those that hold as one
// frame, syncs once, applies, and answers; meanwhile the next ones gather.
// There is no timer in this path: an idle store commits at once, a busy one in
// large batches.
//
// Two more goroutines keep work off that path: the preparer has the log's next
// segment ready (written and synced, so that a commit changes no metadata),
// and the snapshotter writes the state down once the log has outgrown it, from
// a copy that shares memory with the living one. Close joins all three.
//
// What a caller sees of a slow disk is latency, and in the end ErrBusy: at
// most QueueLength mutations or QueueBytes wait. Propose never blocks.
//
// docs/storage.md has the file format, the rules of recovery, and what each
// error means to an operator.
package embedded
