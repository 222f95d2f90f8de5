// Package e2e holds the end-to-end tests: a registry server, greeters and callers
// of both languages, as users run them, and what is done to processes in real
// life: SIGTERM, SIGKILL, SIGSTOP, starting the same one twice. "make test-e2e"
// builds the programs and runs the tests; MUSTER_BIN_DIR is the folder that the
// programs are in.
//
// Nothing here waits for time to pass. A test waits until the programs tell that
// something happened, and fails by its deadline with what they said last.
package e2e
