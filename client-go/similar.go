package muster

import (
	"cmp"
	"context"
	"slices"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// similarEdits is how far a name may be from another to be taken for it.
	similarEdits = 2
	// similarShown is how many such names are told.
	similarShown = 3
)

// similarTo asks the registry for names like one that was never registered. It
// is empty if there are none, or if these credentials may not list.
func (c *Client) similarTo(ctx context.Context, wanted ServiceName) []string {
	ctx, cancel := context.WithTimeout(ctx, defaults.SimilarTimeout)
	defer cancel()
	var names []ServiceName
	c.budget.call()
	err := c.try(ctx, "list services", wanted.Namespace, func(ctx context.Context, s *server) error {
		response, err := s.discovery().ListServices(ctx, &musterv1.ListServicesRequest{
			Namespace: wanted.Namespace, PageSize: defaults.SimilarPage,
		})
		for _, summary := range response.GetServices() {
			names = append(names, ServiceName{summary.GetState().GetNamespace(), summary.GetState().GetService()})
		}
		return err
	})
	if err != nil {
		return nil
	}
	return similar(wanted, names)
}

// similarNames asks for names like one, once, beside somebody who waits. The zero
// value has asked for nothing; end must follow.
type similarNames struct {
	cancel context.CancelFunc
	// found is nil before ask, and closed after what was found.
	found chan []string
}

func (n *similarNames) ask(ctx context.Context, c *Client, wanted ServiceName) {
	if n.found != nil {
		return
	}
	ctx, n.cancel = context.WithCancel(ctx)
	n.found = make(chan []string, 1)
	go func() {
		defer close(n.found)
		n.found <- c.similarTo(ctx, wanted)
	}()
}

// end gives up asking, and returns what was found.
func (n *similarNames) end() []string {
	if n.found == nil {
		return nil
	}
	n.cancel()
	return <-n.found
}

// similar are the nearest names of the same namespace, nearest first.
func similar(wanted ServiceName, known []ServiceName) []string {
	type near struct {
		edits int
		name  string
	}
	var found []near
	for _, k := range known {
		if d := edits(wanted.Service, k.Service); k.Namespace == wanted.Namespace && k != wanted && d <= similarEdits {
			found = append(found, near{d, k.String()})
		}
	}
	slices.SortFunc(found, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.edits, b.edits), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, f := range found[:min(len(found), similarShown)] {
		names = append(names, f.name)
	}
	return names
}

// edits is how many letters must be inserted, dropped, replaced or swapped with
// their neighbour to turn a into b.
func edits(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
