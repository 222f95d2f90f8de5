package etcd

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
)

// keyPrefix is what the keys of all instances begin with.
const keyPrefix = "/instances/"

// instanceKey is where an instance lies.
func instanceKey(service string, key uint64) string {
	return keyPrefix + service + "/" + payload.InstanceID(key)
}

// Register grants a lease and puts the instance under it: two calls, as a
// registry on etcd needs them.
func (s *Server) Register() drive.Op {
	return func(ctx context.Context, conn int, key uint64) error {
		lease := s.leases.Add(1)
		if err := s.grant(ctx, conn, lease); err != nil {
			return err
		}
		return s.put(ctx, conn, instanceKey(payload.Service(key), key), s.instances.Make(key), lease)
	}
}

// RegisterBatch grants a lease and puts the instances under it in one
// transaction.
func (s *Server) RegisterBatch(n int) drive.Op {
	return func(ctx context.Context, conn int, key uint64) error {
		lease := s.leases.Add(1)
		if err := s.grant(ctx, conn, lease); err != nil {
			return err
		}
		var puts [][]byte
		for i := range uint64(n) {
			k := key*uint64(n) + i
			puts = append(puts, putRequest(instanceKey(payload.Service(k), k), s.instances.Make(k), lease))
		}
		answer := &etcdserverpb.TxnResponse{}
		checked, err := s.call(ctx, conn, etcdserverpb.KV_Txn_FullMethodName, txnRequest(puts), answer)
		if checked && len(answer.GetResponses()) != n {
			return fmt.Errorf("etcd answered %d of %d puts", len(answer.GetResponses()), n)
		}
		return err
	}
}

func (s *Server) grant(ctx context.Context, conn int, lease int64) error {
	answer := &etcdserverpb.LeaseGrantResponse{}
	checked, err := s.call(ctx, conn, etcdserverpb.Lease_LeaseGrant_FullMethodName, grantRequest(lease, s.ttl), answer)
	if checked && (answer.GetID() != lease || answer.GetTTL() != s.ttl || answer.GetError() != "") {
		return fmt.Errorf("etcd granted lease %d with %d s (%s), expected %d with %d s",
			answer.GetID(), answer.GetTTL(), answer.GetError(), lease, s.ttl)
	}
	return err
}

func (s *Server) put(ctx context.Context, conn int, key string, value []byte, lease int64) error {
	answer := &etcdserverpb.PutResponse{}
	checked, err := s.call(ctx, conn, etcdserverpb.KV_Put_FullMethodName, putRequest(key, value, lease), answer)
	if checked && answer.GetHeader().GetRevision() == 0 {
		return fmt.Errorf("etcd answered the put of %s without a revision", key)
	}
	return err
}

// call does a unary call. It tells whether the answer was decoded.
func (s *Server) call(ctx context.Context, conn int, method string, request []byte, answer proto.Message) (bool, error) {
	var reply raw.Reply
	if s.check() {
		reply.Into = answer
	}
	err := s.Conns.Call(ctx, conn, method, request, &reply)
	return err == nil && reply.Into != nil, err
}
