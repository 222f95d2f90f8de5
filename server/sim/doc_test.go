// Package sim runs a whole server, many watchers and many lease holders
// through random histories in virtual time, and holds what they see against a
// model of docs/protocol.md that is written apart from the server's code.
//
// Each seed is one world in a synctest bubble. A world takes one random step
// at a time and lets everything come to rest before the next, so a seed tells
// the same story again. The model is plain and slow on purpose: it keeps the
// whole state at every revision, as the store's applier was given it, and
// computes what a selector matches, and its digest, by going over all of it.
//
// Every rule that is checked has a name, that of the rule in docs/protocol.md;
// the test fails if some rule was never put to the proof.
package sim
