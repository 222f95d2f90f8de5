// Package fan is the machinery of all sections in which one change goes to
// many watchers: what a driver must be able to do, how far the writers may run
// ahead of the watchers, how deliveries are counted and timed, and how frames
// are taken from the transport without decoding them.
package fan
