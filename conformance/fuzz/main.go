// Command fuzz looks for an input on which the two clients decide differently.
// It feeds the same random inputs of every rule of docs/client-spec.md to the
// evaluators of both languages and compares what they answer:
//
//	fuzz -go bin/evaluator-go -rust bin/evaluator-rust -time 60s
//
// Inputs are made of those of the vectors (changed in places, joined, cut) and,
// for frames, of histories. A difference is made small and printed as a case
// that can be added to the vectors.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

type options struct {
	goPath, rustPath, vectors, rules string
	time                             time.Duration
	seed                             uint64
	write                            bool
}

func main() {
	var o options
	flag.StringVar(&o.goPath, "go", "bin/evaluator-go", "the evaluator in Go")
	flag.StringVar(&o.rustPath, "rust", "bin/evaluator-rust", "the evaluator in Rust")
	flag.StringVar(&o.vectors, "vectors", "conformance/vectors", "the folder of the vectors")
	flag.StringVar(&o.rules, "rules", "", "the rules to try, joined by commas; all if empty")
	flag.DurationVar(&o.time, "time", time.Minute, "how long")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what the inputs follow from") //nolint:gosec // any number will do
	flag.BoolVar(&o.write, "write", false, "write RULE_generated.json for each rule instead")
	flag.Parse()
	found, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(2)
	}
	if found {
		os.Exit(1)
	}
}

// run returns whether there was a difference.
func run(o options) (found bool, err error) {
	seeds, err := load(o.vectors)
	if err != nil {
		return false, err
	}
	names := seeds.names(strings.FieldsFunc(o.rules, func(r rune) bool { return r == ',' }))
	if len(names) == 0 {
		return false, fmt.Errorf("no vectors are about the rules %q", o.rules)
	}
	pair, err := start(o.goPath, o.rustPath)
	if err != nil {
		return false, err
	}
	defer pair.close()
	m := &maker{rand: rand.New(rand.NewPCG(o.seed, 0)), seeds: seeds, names: names} //nolint:gosec // repeatable on purpose
	if o.write {
		return false, writeGenerated(pair, m, o)
	}
	fmt.Printf("seed %d, rules %s\n", o.seed, strings.Join(names, " "))
	return search(pair, m, o.time)
}

const batchSize = 512

// search asks in batches until the time is over or a difference is found. The
// next batch is made while the evaluators work.
func search(p *pair, m *maker, limit time.Duration) (bool, error) {
	begin := time.Now()
	cases, refused := 0, 0
	next := m.batch(batchSize)
	for time.Since(begin) < limit {
		batch := next
		made := make(chan []question, 1)
		go func() { made <- m.batch(batchSize) }()
		answers, err := p.ask(batch)
		next = <-made
		if err != nil {
			return true, err
		}
		for i, q := range batch {
			if q.garbage == nil && !answers[i].agree() {
				return true, report(p, q)
			}
			if answers[i].refusals()[0] {
				refused++
			}
		}
		cases += len(batch)
	}
	fmt.Printf("%d cases in %.0f s, %d of them no input, no difference\n", cases, time.Since(begin).Seconds(), refused)
	return false, nil
}

// report makes a difference small and prints it.
func report(p *pair, q question) error {
	small, said, err := minimise(p, q)
	if err != nil {
		return err
	}
	fmt.Printf("a difference in the rule %s:\n\n    {\"name\": \"…\", \"input\": %s, \"output\": …}\n\n  go:   %s\n  rust: %s\n",
		q.rule, encode(small), said[0], said[1])
	return nil
}

// names are the rules with vectors, or those of them that are wanted.
func (s seeds) names(wanted []string) []string {
	var names []string
	for name := range s {
		if len(wanted) == 0 || slices.Contains(wanted, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
