package main

import (
	"context"
	"maps"
	"slices"

	muster "github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/examples/go/internal/jsonl"
)

// instance is what is told of an instance.
type instance struct {
	Version     string `json:"version,omitempty"`
	Lifecycle   string `json:"lifecycle,omitempty"`
	Health      string `json:"health,omitempty"`
	Incarnation uint64 `json:"incarnation,omitempty"`
}

// watch writes every update of the subscription until ctx ends.
func watch(ctx context.Context, subscription *muster.Subscription) error {
	told := map[string]instance{}
	for update, err := range subscription.Updates(ctx) {
		if err != nil {
			return err
		}
		switch u := update.(type) {
		case muster.Snapshot:
			tellView("SNAPSHOT", u.Cause.String(), u.View())
			told = tellInstances(u.View(), u.Removed, told)
		case muster.Delta:
			tellView("DELTA", "", u.View())
			told = tellInstances(u.View(), u.Removed, told)
		case muster.FreshnessChange:
			jsonl.Write(struct {
				jsonl.Header
				From string `json:"from"`
				To   string `json:"to"`
			}{jsonl.Now("freshness"), u.From.String(), u.To.String()})
		}
	}
	return nil
}

func tellView(update, cause string, view *muster.View) {
	jsonl.Write(struct {
		jsonl.Header
		Update    string `json:"update"`
		Cause     string `json:"cause"`
		Epoch     uint64 `json:"epoch"`
		Revision  uint64 `json:"revision"`
		Instances int    `json:"instances"`
	}{jsonl.Now("view"), update, cause, view.Epoch(), view.Revision(), len(view.Instances())})
}

// tellInstances writes what differs from what was told before, and returns what
// is told now.
func tellInstances(view *muster.View, removed []muster.Removal, told map[string]instance) map[string]instance {
	now := map[string]instance{}
	for _, i := range view.Instances() {
		next := instance{i.Version, i.Lifecycle.String(), i.Health.String(), i.Incarnation}
		now[i.ID] = next
		before, known := told[i.ID]
		switch {
		case !known:
			tellInstance("appeared", i.ID, "", next)
		case before == next:
		case next.Lifecycle == "DRAINING" && before.Lifecycle != "DRAINING":
			tellInstance("draining", i.ID, "", next)
		default:
			tellInstance("changed", i.ID, "", next)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(told)) {
		if _, stays := now[id]; !stays {
			tellInstance("disappeared", id, reasonFor(removed, id), instance{})
		}
	}
	return now
}

func reasonFor(removed []muster.Removal, id string) string {
	for _, r := range removed {
		if r.Key.ID == id {
			return r.Reason.String()
		}
	}
	return muster.RemovalUnknown.String()
}

func tellInstance(change, id, reason string, i instance) {
	jsonl.Write(struct {
		jsonl.Header
		Change string `json:"change"`
		ID     string `json:"id"`
		Reason string `json:"reason,omitempty"`
		instance
	}{jsonl.Now("instance"), change, id, reason, i})
}
