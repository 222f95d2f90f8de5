package mustertest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// registrations is RegistrationService.
type registrations struct {
	musterv1.UnimplementedRegistrationServiceServer
	*Registry
}

// Register implements the contract.
func (r registrations) Register(_ context.Context, req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
	instances, ttl, err := checkRegister(req)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	retried, err := r.judgeAll(req, instances)
	if err != nil {
		return nil, err
	}
	if retried != nil {
		retried.renew(now)
		return r.granted(retried), nil
	}
	l := r.grant(instances, ttl, req.GetRequestId(), now)
	l.deadline = now.Add(ttl)
	return r.granted(l), nil
}

// judgeAll applies the rules to every instance: all or nothing. A retry decides
// for all, since the first attempt was whole.
func (r *Registry) judgeAll(req *musterv1.RegisterRequest, instances []*musterv1.Instance) (retried *lease, err error) {
	var exist, fencing []entryName
	for _, i := range instances {
		name := nameOf(i)
		present := r.state.holders[name]
		switch judge(present, req) {
		case claimRetry:
			return present, nil
		case claimExists:
			exist = append(exist, name)
		case claimFenced:
			fencing = append(fencing, name)
		case claimCreate, claimReplace, claimTakeOver:
		}
	}
	switch {
	case len(fencing) > 0:
		return nil, r.fenced(fencing[0])
	case len(exist) > 0:
		return nil, r.exists(exist)
	}
	return nil, nil //nolint:nilnil // no earlier attempt, and no objection
}

// grant writes instances under a new lease without a deadline.
func (r *Registry) grant(instances []*musterv1.Instance, ttl time.Duration, requestID string, now time.Time) *lease {
	c := r.state.begin(now)
	l := &lease{id: newLeaseID(), epoch: r.state.epoch, incarnation: c.at, requestID: requestID, ttl: ttl}
	r.state.leases[l.id] = l
	var losing []*lease
	for _, i := range instances {
		if present := r.state.holders[nameOf(i)]; present != nil {
			losing = append(losing, present)
		}
		c.put(i, l)
	}
	for _, loser := range losing {
		r.state.dropIfEmpty(loser)
	}
	r.commit(c)
	return l
}

func (r *Registry) granted(l *lease) *musterv1.RegisterResponse {
	return &musterv1.RegisterResponse{
		Lease:     &musterv1.Lease{LeaseId: l.id, Incarnation: l.incarnation, Epoch: l.epoch, Ttl: durationpb.New(l.ttl)},
		ClusterId: clusterID, Epoch: r.state.epoch, Revision: r.state.revision,
	}
}

func (r *Registry) fenced(name entryName) error {
	incarnation := strconv.FormatUint(r.state.instances[name].GetIncarnation(), 10)
	return refuse(musterv1.ErrorReason_ERROR_REASON_FENCED,
		fmt.Sprintf("instance %s is held by a newer lease (incarnation %s); this one must stop registering it", name, incarnation),
		"instance", name.String(), "incarnation", incarnation)
}

func (r *Registry) exists(names []entryName) error {
	var incarnations []string
	for _, name := range names {
		incarnation := strconv.FormatUint(r.state.instances[name].GetIncarnation(), 10)
		if !slices.Contains(incarnations, incarnation) {
			incarnations = append(incarnations, incarnation)
		}
	}
	return refuse(musterv1.ErrorReason_ERROR_REASON_INSTANCE_EXISTS,
		fmt.Sprintf("instance %s is registered under another lease (incarnation %s); "+
			"name it in take_over to replace it, or choose another instance_id", names[0], incarnations[0]),
		"instance", names[0].String(), "incarnations", strings.Join(incarnations, ","))
}

func newLeaseID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func decimal(n int) string { return strconv.Itoa(n) }
