// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

const (
	// DefaultGatherInterval is how often auth servers are asked.
	DefaultGatherInterval = 15 * time.Second
	// jitter keeps the questions of several clusters' managers apart, and out of step with
	// whatever else has a period.
	jitter = 0.2
	// askedAtOnce is how many auth servers are asked at the same time.
	askedAtOnce = 8
	// roundTimeout bounds a round, and listTimeout the list with which it begins.
	roundTimeout = time.Minute
	listTimeout  = 10 * time.Second
	// rememberedFor is how long an auth server that is gone is remembered: one whose Lease
	// was deleted by hand comes back, and the end of one may be seen twice.
	rememberedFor = 10 * time.Minute
)

// members lists auth servers. *registry.Members does.
type members interface {
	UsageSources(ctx context.Context, since time.Time) ([]registry.UsageSource, time.Time, error)
}

// tokens gives out tokens to ask with. *Tokens does.
type tokens interface {
	Token(ctx context.Context) (string, error)
	Drop(token string)
}

// Config configures a Gatherer.
type Config struct {
	Members members
	Tokens  tokens
	// Keys reads APIKeys from a cache.
	Keys client.Reader
	// Leases shows Leases as they change; nil to list them at intervals only.
	Leases   cache.Informers
	Ledger   *Ledger
	Interval time.Duration
	Clock    clock.WithTicker
	// dial is newCaller, but in tests.
	dial func(address, pin string) (asker, error)
}

// Gatherer asks every auth server for its usage, at an interval, and at once when one is
// about to stop.
type Gatherer struct {
	Config
	// Collector has its metrics.
	prometheus.Collector

	metrics *metrics
	// kicks has place for one: an auth server is about to stop.
	kicks chan struct{}
	// listing keeps lists in their order.
	listing sync.Mutex

	mu           sync.Mutex
	usageSources map[string]*usageSource
	// listed is when the last list of auth servers was asked for.
	listed time.Time
	// lastGap is when something may have been missed.
	lastGap time.Time
	// wake requeues an APIKey.
	wake func(types.NamespacedName)
}

// New returns a Gatherer that gathers when it is started.
func New(config Config) *Gatherer {
	if config.dial == nil {
		config.dial = newCaller
	}
	g := &Gatherer{Config: config, kicks: make(chan struct{}, 1), usageSources: map[string]*usageSource{}}
	g.metrics = newMetrics(g)
	g.Collector = g.metrics
	return g
}

// NeedLeaderElection has the leader alone gather, as it alone writes.
func (g *Gatherer) NeedLeaderElection() bool { return true }

// Wake sets f, which requeues an APIKey whose status is due to be written.
func (g *Gatherer) Wake(f func(types.NamespacedName)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wake = f
}

// Start gathers until ctx is done.
func (g *Gatherer) Start(ctx context.Context) error {
	unfollow, err := g.follow(ctx)
	if err != nil {
		return err
	}
	defer unfollow()
	var dismissing sync.WaitGroup
	dismissing.Go(func() { g.handOvers(ctx) })
	g.rounds(ctx)
	dismissing.Wait()
	return nil
}

// rounds asks all auth servers at an interval, until ctx is done.
func (g *Gatherer) rounds(ctx context.Context) {
	timer := g.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
			g.notGathered(ctx, g.round(ctx))
			timer.Reset(wait.Jitter(g.Interval, jitter))
		}
	}
}

func (g *Gatherer) notGathered(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Info("could not gather usage", "error", err.Error())
	}
}

// round asks all auth servers, and requeues what is due.
func (g *Gatherer) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	found, err := g.look(ctx)
	if err != nil {
		return err
	}
	var asking errgroup.Group
	asking.SetLimit(askedAtOnce)
	for _, v := range found {
		asking.Go(func() error { g.gather(ctx, v); return nil })
	}
	_ = asking.Wait() // each of them has logged what failed
	return g.sweep(ctx)
}

// look lists the auth servers, and returns those to ask.
func (g *Gatherer) look(ctx context.Context) ([]visit, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	g.listing.Lock()
	defer g.listing.Unlock()
	found, asked, err := g.Members.UsageSources(ctx, g.Clock.Now())
	if err != nil {
		return nil, err
	}
	return g.update(found, asked), nil
}

// update records a list of the auth servers, and returns those to ask.
func (g *Gatherer) update(found []registry.UsageSource, asked time.Time) (ask []visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listed.IsZero() {
		// What the leader before has missed is not known.
		g.lastGap = asked
	}
	present := map[string]bool{}
	for _, now := range found {
		present[now.Process] = true
		t := g.usageSources[now.Process]
		if t == nil {
			t = &usageSource{unseenFrom: g.listed}
			g.usageSources[now.Process] = t
		}
		t.UsageSource, t.gone = now, time.Time{}
		switch {
		case now.Fenced:
			g.ended(t)
		case now.Address == "": // It serves no usage.
		case !t.handedOver || now.Final:
			t.gap = false
			ask = append(ask, visit{t: t, who: now})
		}
	}
	for process, t := range g.usageSources {
		switch {
		case present[process]:
		case t.gone.IsZero():
			t.gone = asked
			g.ended(t)
		case asked.Sub(t.gone) > rememberedFor:
			// Its connection has been idle since, so that has ended.
			delete(g.usageSources, process)
			g.Ledger.forget(process)
		}
	}
	g.listed = asked
	return ask
}

// gather asks one auth server, unless it is being asked, and lets it stop if it waits for
// that.
func (g *Gatherer) gather(ctx context.Context, v visit) {
	if !g.acquire(v) {
		return
	}
	defer g.relinquish(v)
	sent, final, err := g.read(ctx, v)
	g.metrics.asked(err)
	logger := log.FromContext(ctx).WithValues("lease", v.who.Name)
	g.mu.Lock()
	failedBefore := v.t.failed
	if v.t.failed = err != nil; !v.t.failed {
		v.t.heard = sent
		v.t.handedOver = v.t.handedOver || final
	}
	handedOver := v.t.handedOver
	g.mu.Unlock()
	if err == nil && handedOver {
		if err := g.dismiss(ctx, v); err != nil && ctx.Err() == nil {
			logger.Info("could not confirm the handover of usage; the auth server stops after its timeout", "error", err.Error())
		}
	}
	if err != nil && !failedBefore && ctx.Err() == nil {
		logger.Info("could not gather usage from an auth server, retrying", "error", err.Error())
	}
}

// sweep observes all statuses, and requeues the APIKeys that are due.
func (g *Gatherer) sweep(ctx context.Context) error {
	list := &v1alpha1.APIKeyList{}
	if err := g.Keys.List(ctx, list, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return fmt.Errorf("list APIKeys: %w", err)
	}
	g.mu.Lock()
	wake := g.wake
	g.mu.Unlock()
	exists := map[usage.ID]struct{}{}
	now := g.Clock.Now()
	for i := range list.Items {
		key := &list.Items[i]
		for j := range key.Status.Versions {
			exists[usage.ID{UID: key.UID, KeyID: key.Status.Versions[j].ID}] = struct{}{}
		}
		g.Ledger.Observe(key)
		if wake != nil && g.Ledger.Due(key, now) {
			wake(client.ObjectKeyFromObject(key))
		}
	}
	g.Ledger.collect(exists)
	return nil
}

// Use returns what is known of a version; of a nil Gatherer, nothing.
func (g *Gatherer) Use(uid types.UID, keyID string) usage.Use { return g.Book().Use(uid, keyID) }

// Book returns the Ledger; nil if there is no Gatherer.
func (g *Gatherer) Book() *Ledger {
	if g == nil {
		return nil
	}
	return g.Ledger
}
