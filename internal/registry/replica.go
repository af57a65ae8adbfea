// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

const (
	// MinStaleness is the shortest bound that leaves time for some renewals.
	MinStaleness = 2 * time.Second
	// LongestStaleness is the most that a Lease may promise: for so long an auth server that
	// is gone, or compromised, can keep revocations waiting. The policy on Leases
	// (config/policy/leases.yaml) has it, too.
	LongestStaleness = time.Hour
	// DefaultStaleness lets valid keys work through an outage of the API server
	// that is not much longer than an upgrade of it.
	DefaultStaleness = 5 * time.Minute
	// DefaultSuspectAfter is how long one dead node may delay a new key.
	DefaultSuspectAfter = 10 * time.Second
	// maxRetryDelay is the most between two tries of anything that fails, but for jitter.
	maxRetryDelay = time.Second
	// defaultCompareInterval is how often the index is compared with a whole list.
	defaultCompareInterval = 5 * time.Minute
)

// ReplicaConfig configures a Replica.
type ReplicaConfig struct {
	// Client reads APIKeys and Organizations and writes the Lease. It must not
	// read from a cache.
	Client client.WithWatch
	// Namespace and LeaseName name the replica's Lease. No two processes that
	// may run at the same time may share one: use the pod's UID in the name.
	Namespace, LeaseName string
	// MaxStaleness is how long after its last renewal the replica serves.
	// Default DefaultStaleness, at least MinStaleness, at most LongestStaleness.
	MaxStaleness time.Duration
	// SuspectAfter is how long after its last renewal the replica calls a key
	// unknown. Default DefaultSuspectAfter, less than MaxStaleness.
	SuspectAfter time.Duration
	// RenewInterval is how often the Lease is renewed when there is nothing to
	// report. Default a third of SuspectAfter.
	RenewInterval time.Duration
	// CompareInterval is how often the index is compared with a whole list.
	// Default 5 minutes.
	CompareInterval time.Duration
	// Clock defaults to the real clock.
	Clock clock.WithTicker
	Log   logr.Logger
	// Usage has the counters of the keys; nil to count nothing.
	Usage *usage.Table
	// UsageAddress is the IP address and port where the manager gathers usage, and
	// UsagePin the SHA-256 of the certificate there, in hexadecimal. Both are published in
	// the Lease; empty for none.
	UsageAddress, UsagePin string
}

func (c *ReplicaConfig) complete() error {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.MaxStaleness == 0 {
		c.MaxStaleness = DefaultStaleness
	}
	if c.SuspectAfter == 0 {
		c.SuspectAfter = min(DefaultSuspectAfter, c.MaxStaleness/2)
	}
	if c.RenewInterval == 0 {
		c.RenewInterval = c.SuspectAfter / 3
	}
	if c.CompareInterval == 0 {
		c.CompareInterval = defaultCompareInterval
	}
	switch {
	case c.Client == nil || c.Namespace == "" || c.LeaseName == "":
		return errors.New("a client, a namespace and a lease name are required")
	case c.MaxStaleness < MinStaleness:
		return fmt.Errorf("max staleness %s is too short: at least %s leaves time to renew", c.MaxStaleness, MinStaleness)
	case c.MaxStaleness > LongestStaleness:
		return fmt.Errorf("max staleness %s is too long: a manager waits for %s at most", c.MaxStaleness, LongestStaleness)
	case c.SuspectAfter >= c.MaxStaleness:
		return fmt.Errorf("suspect after %s must be less than max staleness %s", c.SuspectAfter, c.MaxStaleness)
	case c.RenewInterval >= c.SuspectAfter:
		return fmt.Errorf("renew interval %s must be less than suspect after %s", c.RenewInterval, c.SuspectAfter)
	}
	return nil
}

// Replica is an auth server's member of the registry. Run keeps it a member;
// Authenticate may be called from any number of goroutines meanwhile.
type Replica struct {
	// Collector has its metrics.
	prometheus.Collector

	config  ReplicaConfig
	metrics *replicaMetrics
	// current is nil while the replica is not a member.
	current atomic.Pointer[session]

	// holder is this process, as the holder of its Lease: its sessions have it as
	// prefix.
	holder string
	// joins counts the sessions that were begun; only Run uses it.
	joins int
	// final: the last request was answered; see Finish.
	final atomic.Bool
}

// NewReplica returns a Replica that is not a member yet: it answers Undecided to
// everything until Run has joined.
func NewReplica(config ReplicaConfig) (*Replica, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("registry replica: %w", err)
	}
	r := &Replica{config: config, holder: string(uuid.NewUUID())}
	r.metrics = newReplicaMetrics(r)
	r.Collector = r.metrics
	return r, nil
}

// Authenticate looks up the key with this hash.
func (r *Replica) Authenticate(digest keys.Digest) (Grant, Verdict) {
	s := r.current.Load()
	if s == nil {
		return Grant{}, Undecided
	}
	return s.authenticate(digest, r.config.Clock.Now)
}

// Ready reports whether the replica decides: its index is complete and it is
// not fenced.
func (r *Replica) Ready() bool {
	s := r.current.Load()
	return s != nil && !s.fenced(r.config.Clock.Now())
}

// Run joins the registry and stays a member until ctx is done; a membership that
// breaks is begun anew. It returns nil.
func (r *Replica) Run(ctx context.Context) error {
	// Few replicas, each with a client of its own: nobody is crowded out by one that
	// tries each second, and service resumes soon after an outage.
	backoff := wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 5, Cap: maxRetryDelay}
	delay := backoff.DelayWithReset(r.config.Clock, time.Minute)
	// Until returns the context's error, which is how Run is meant to end.
	_ = delay.Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		err := r.runSession(ctx)
		if ctx.Err() == nil {
			r.config.Log.Error(err, "session ended, joining anew")
		}
		return false, nil
	})
	return nil
}

// runSession is one membership, from the Lease with nothing applied to the
// moment that it can no longer be vouched for.
func (r *Replica) runSession(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)

	r.joins++
	r.metrics.joins.Inc()
	writer := leaseWriter{
		namespace: r.config.Namespace, name: r.config.LeaseName, holder: fmt.Sprintf("%s_%d", r.holder, r.joins),
		maxStaleness: r.config.MaxStaleness, suspectAfter: r.config.SuspectAfter,
		usage: r.usageNotice,
	}
	joined := r.config.Clock.Now()
	lease, err := r.join(ctx, writer, joined)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}

	ix := newIndex(r.config.Usage)
	s := newSession(ix, bounds{staleness: r.config.MaxStaleness, suspect: r.config.SuspectAfter}, joined)
	reporter := newReporter(r, s, writer, lease)
	feed := startFeed(ctx, r.config, ix, reporter.wake, end)
	s.feed, s.wake = feed, reporter.wake
	comparer := newComparer(r.config, r.metrics, ix)
	var owned wait.Group
	owned.StartWithContext(ctx, func(ctx context.Context) {
		if feed.listed(ctx) {
			r.current.Store(s)
			r.config.Log.Info("serving", "keys", ix.size(), "appliedRevision", feed.keys.revision())
			comparer.run(ctx)
		}
	})
	defer func() {
		// Requests see the end before anything that they rest on is torn down.
		s.broken.Store(true)
		end(nil)
		owned.Wait()
		r.current.CompareAndSwap(s, nil)
		feed.stop()
		ix.discard()
	}()
	return reporter.run(ctx, feed)
}

// join writes the Lease with nothing applied, in place of what a dead process of
// the same pod left.
func (r *Replica) join(ctx context.Context, writer leaseWriter, now time.Time) (*coordinationv1.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.MaxStaleness/2)
	defer cancel()
	previous := &coordinationv1.Lease{}
	err := r.config.Client.Get(ctx, client.ObjectKey{Namespace: writer.namespace, Name: writer.name}, previous)
	switch {
	case apierrors.IsNotFound(err):
		lease := writer.join(nil, now)
		if err := r.config.Client.Create(ctx, lease); err != nil {
			return nil, fmt.Errorf("create lease: %w", err)
		}
		return lease, nil
	case err != nil:
		return nil, fmt.Errorf("get lease: %w", err)
	}
	// Conditional on the resourceVersion that was read.
	lease := writer.join(previous, now)
	if err := r.config.Client.Update(ctx, lease); err != nil {
		return nil, fmt.Errorf("take over lease: %w", err)
	}
	return lease, nil
}

// present returns the revisions that consistent lists have now.
func (r *Replica) present(ctx context.Context) (report, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.RenewInterval)
	defer cancel()
	var found report
	for _, kind := range []struct {
		list     client.ObjectList
		revision *string
	}{{newAPIKeyList(), &found.apiKeys}, {newOrganizationList(), &found.organizations}, {newNamespaceList(), &found.namespaces}} {
		if err := r.config.Client.List(ctx, kind.list, client.Limit(1)); err != nil {
			return report{}, fmt.Errorf("list to catch up: %w", err)
		}
		*kind.revision = kind.list.GetResourceVersion()
	}
	return found, nil
}

// Leave deletes the replica's Lease, so that nobody waits for it. It is to be
// called when Run has returned and the last request was answered.
func (r *Replica) Leave(ctx context.Context) error {
	r.current.Store(nil)
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { return r.deleteLease(ctx) }); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// deleteLease deletes the Lease if this process still holds it. Its last write may
// have been made although the answer was given up on, so the Lease is read anew.
func (r *Replica) deleteLease(ctx context.Context) error {
	lease := &coordinationv1.Lease{}
	err := r.config.Client.Get(ctx, client.ObjectKey{Namespace: r.config.Namespace, Name: r.config.LeaseName}, lease)
	if err == nil && strings.HasPrefix(ptr.Deref(lease.Spec.HolderIdentity, ""), r.holder+"_") {
		err = r.config.Client.Delete(ctx, lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
	}
	return client.IgnoreNotFound(err)
}
