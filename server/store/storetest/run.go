package storetest

import (
	"testing"

	"github.com/muster-registry/muster/server/store"
)

// Run holds a store to the contract of package store. open returns a store
// that was not started, over a history of its own; Run starts and closes it.
// Every case is a subtest, and opens at most one store.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, test := range map[string]func(t *testing.T, s *started){
		"GuardsDecide":              guardsDecide,
		"FailedGuardsNameAll":       failedGuardsNameAll,
		"RevisionsOfAnEntry":        revisionsOfAnEntry,
		"EventsOfACommit":           eventsOfACommit,
		"NotesTravel":               notesTravel,
		"RefusesInvalidMutations":   refusesInvalid,
		"RefusesLargeMutations":     refusesLarge,
		"TakesTheLargestMutation":   takesLargest,
		"KeepsTheProposersOrder":    keepsOrder,
		"CommitsAreConflictFree":    conflictFree,
		"ProbeSeesWhatWasConfirmed": probeSees,
		"CloseAnswersAll":           closeAnswersAll,
		"CloseIsFinal":              closeIsFinal,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t, open(t))) })
	}
	t.Run("RestoresBeforeApplying", func(t *testing.T) { restoresFirst(t, open(t)) })
	t.Run("ReportsARefusedRestore", func(t *testing.T) { refusedRestore(t, open(t)) })
	t.Run("ClosesWithoutAStart", func(t *testing.T) { closesUnstarted(t, open(t)) })
}

// RunRestart holds a store to what the contract says about restarts. open
// returns a function that opens one and the same history each time; what it
// opened before has been closed by then.
func RunRestart(t *testing.T, open func(t *testing.T) func(t *testing.T) store.Store) {
	t.Run("KeepsStateAndRevision", func(t *testing.T) { keepsState(t, open(t)) })
	t.Run("KeepsTheClusterID", func(t *testing.T) { keepsClusterID(t, open(t)) })
	t.Run("KeepsWhatCloseFound", func(t *testing.T) { keepsWhatCloseFound(t, open(t)) })
}
