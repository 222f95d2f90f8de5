package rules

const (
	// retryCost is what a repeated call takes, in thousandths of a token.
	retryCost = 1_000
	// callGain is what a call brings: 20 % of what a repetition costs.
	callGain = 200
	// gainPerMs is what time brings: 10 repetitions a second.
	gainPerMs = 10
	// budgetFull is what a budget can hold: 10 s without calls.
	budgetFull = 100_000
	// budgetDebt is what it can owe: no repetition waits in line for longer than
	// 30 s.
	budgetDebt = -300_000
)

// Budget bounds how many calls a client repeats, whatever the cause: a fifth of
// the calls that it makes, and 10 a second. It counts thousandths of a token.
// Repetitions beyond it are not refused but put in line, by a debt.
type Budget struct {
	Milli int64
	// AtMs is up to when time has been counted.
	AtMs int64
}

// FullBudget is where a client begins.
func FullBudget(nowMs int64) Budget { return Budget{budgetFull, nowMs} }

// Call counts a call that is no repetition.
func (b Budget) Call(nowMs int64) Budget {
	b = b.at(nowMs)
	b.Milli = min(b.Milli+callGain, budgetFull)
	return b
}

// Retry counts a repetition and returns for how long it has to wait in line.
func (b Budget) Retry(nowMs int64) (after Budget, waitMs int64) {
	b = b.at(nowMs)
	b.Milli = max(b.Milli-retryCost, budgetDebt)
	if b.Milli >= 0 {
		return b, 0
	}
	return b, (gainPerMs - 1 - b.Milli) / gainPerMs
}

// at counts the time up to a moment. Time that runs backwards counts from anew.
func (b Budget) at(nowMs int64) Budget {
	milli := min(max(b.Milli, budgetDebt), budgetFull)
	elapsed := min(Elapsed(b.AtMs, nowMs), (budgetFull-budgetDebt)/gainPerMs)
	return Budget{min(milli+elapsed*gainPerMs, budgetFull), nowMs}
}
