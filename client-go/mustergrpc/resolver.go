package mustergrpc

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// resolverBuilder makes the resolver of one channel. It is given to the channel
// as an option and never registered.
type resolverBuilder struct {
	client  *muster.Client
	service muster.ServiceName
	// endpoint is the name of the endpoint to dial; empty is the one that fits.
	endpoint string
	// balancer is that of this package, once it got the first view.
	balancer atomic.Pointer[viewBalancer]
}

// Scheme implements resolver.Builder.
func (b *resolverBuilder) Scheme() string { return "muster" }

// OverrideAuthority implements resolver.AuthorityOverrider: requests and
// certificates name "service.namespace", unless an endpoint says otherwise.
func (b *resolverBuilder) OverrideAuthority(resolver.Target) string { return authorityOf(b.service) }

func authorityOf(s muster.ServiceName) string { return s.Service + "." + s.Namespace }

// Build subscribes and emits the present view before it returns, so that a
// channel to a service that is watched already is ready at once.
func (b *resolverBuilder) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	subscription, err := b.client.Subscribe(muster.Service(b.service.Namespace, b.service.Service))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &viewResolver{
		cc:     cc,
		cancel: cancel,
		source: &source{
			service: b.service, endpoint: b.endpoint, subscription: subscription, picker: subscription.AddPicker(),
			self: selfOf(b.client), logger: b.client.Logger(), observe: b.client.Observe,
		},
	}
	v := subscription.View()
	r.emit(v)
	b.balancer.Store(r.source.balancer.Load())
	r.task.Go(func() { r.follow(ctx, v) })
	return r, nil
}

// source is where a channel's views come from, and how it tells that it
// applied them.
type source struct {
	service      muster.ServiceName
	endpoint     string
	subscription *muster.Subscription
	picker       *muster.Picker
	self         rules.Self
	logger       logger
	observe      func(muster.Event)
	// balancer is set by that of this package when it gets a view.
	balancer atomic.Pointer[viewBalancer]
}

// selfOf is where the client runs, and who it is.
func selfOf(c *muster.Client) rules.Self {
	locality := c.Locality()
	return rules.Self{Region: locality.Region, Zone: locality.Zone, ClientID: c.ID()}
}

// resolved is what the resolver hands to the balancer.
type resolved struct {
	*source
	view *muster.View
}

type resolvedKey struct{}

// viewResolver hands each view of a subscription to the channel.
type viewResolver struct {
	cc     resolver.ClientConn
	source *source
	cancel context.CancelFunc
	task   sync.WaitGroup
}

// emit carries the view as an attribute of the state: attributes of addresses
// are lost on some ways, and a change of them would reconnect.
func (r *viewResolver) emit(v *muster.View) {
	state := resolver.State{Attributes: attributes.New(resolvedKey{}, &resolved{r.source, v})}
	_ = r.cc.UpdateState(state) // an error would only ask for ResolveNow, which does nothing here
}

func (r *viewResolver) follow(ctx context.Context, v *muster.View) {
	for {
		select {
		case <-v.Superseded():
		case <-ctx.Done():
			return
		}
		v = r.source.subscription.View()
		r.emit(v)
		if r.source.subscription.Err() != nil {
			return
		}
	}
}

// ResolveNow implements resolver.Resolver. Changes come by themselves.
func (r *viewResolver) ResolveNow(resolver.ResolveNowOptions) {}

// Close implements resolver.Resolver: it joins the follower.
func (r *viewResolver) Close() {
	r.cancel()
	r.task.Wait()
	r.source.picker.Close()
	r.source.subscription.Close()
}
