package registry

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/view"
)

type vectorLease struct {
	LeaseID     string `json:"lease_id"`
	Epoch       string
	Incarnation string
	RequestID   string `json:"request_id"`
}

type registerCase struct {
	Name    string
	Present *vectorLease
	Request struct {
		RequestID string `json:"request_id"`
		Previous  *vectorLease
		TakeOver  *struct {
			Incarnations []string
		} `json:"take_over"`
	}
	Decision string
}

func parse(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRegisterVectors runs conformance/vectors/register.json (M6.9b).
func TestRegisterVectors(t *testing.T) {
	raw, err := os.ReadFile("../../conformance/vectors/register.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []registerCase }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatal("no cases")
	}
	names := map[claim]string{claimCreate: "CREATE", claimRetry: "RETRY", claimReplace: "REPLACE", claimExists: "INSTANCE_EXISTS", claimFenced: "FENCED"}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			var present *view.Lease
			if p := c.Present; p != nil {
				present = &view.Lease{
					Key: record.LeaseKey(p.LeaseID), CreateRevision: parse(t, p.Incarnation),
					Value: record.EncodeLease(&record.Lease{Epoch: parse(t, p.Epoch), RequestId: p.RequestID}),
				}
			}
			req := &musterv1.RegisterRequest{RequestId: c.Request.RequestID}
			if p := c.Request.Previous; p != nil {
				req.Claim = &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{
					LeaseId: p.LeaseID, Epoch: parse(t, p.Epoch), Incarnation: parse(t, p.Incarnation),
				}}
			}
			if c.Request.TakeOver != nil {
				over := &musterv1.TakeOver{}
				for _, i := range c.Request.TakeOver.Incarnations {
					over.Incarnations = append(over.Incarnations, parse(t, i))
				}
				req.Claim = &musterv1.RegisterRequest_TakeOver{TakeOver: over}
			}
			want := c.Decision
			if want == "TAKE_OVER" {
				want = "REPLACE"
			}
			if got := names[judge(present, req)]; got != want {
				t.Errorf("decided %s, want %s", got, want)
			}
		})
	}
}
