// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

const (
	// comparePageSize bounds one answer of the API server to a comparison.
	comparePageSize = 500
	// lostAfter is when a change that a list has shown, and the watch has not
	// brought, counts as lost.
	lostAfter = 10 * time.Second
)

// comparer compares the index with a consistent list, every few minutes, and
// repairs what differs. The guarantee rests on the contract of the watch; this
// bounds the damage should that contract ever break.
type comparer struct {
	client   client.Reader
	clock    clock.WithTicker
	interval time.Duration
	log      logr.Logger
	metrics  *replicaMetrics
	index    *index
}

func newComparer(config ReplicaConfig, metrics *replicaMetrics, ix *index) *comparer {
	return &comparer{
		client: config.Client, clock: config.Clock, interval: config.CompareInterval,
		log: config.Log, metrics: metrics, index: ix,
	}
}

// run compares until ctx is done.
func (c *comparer) run(ctx context.Context) {
	ticker := c.clock.NewTicker(c.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		if err := c.compare(ctx); err != nil && ctx.Err() == nil {
			c.log.Info("comparison with a whole list did not finish", "error", err.Error())
		}
	}
}

func (c *comparer) compare(ctx context.Context) error {
	keys, err := c.compareKeys(ctx)
	if err != nil {
		return fmt.Errorf("compare APIKeys: %w", err)
	}
	organizations, err := c.compareOrganizations(ctx)
	if err != nil {
		return fmt.Errorf("compare Organizations: %w", err)
	}
	for kind, repairs := range map[string]int{"APIKey": keys, "Organization": organizations} {
		c.metrics.repairs.WithLabelValues(kind).Add(float64(repairs))
		if repairs > 0 {
			c.log.Error(nil, "the index differed from a consistent list and was repaired: a watch has lost events", "kind", kind, "repairs", repairs)
		}
	}
	return nil
}

// compareKeys lists all APIKeys as they are now and repairs the index.
func (c *comparer) compareKeys(ctx context.Context) (repairs int, err error) {
	known := c.index.beginComparison()
	defer c.index.endComparison()
	var claims []claim
	list := &v1alpha1.APIKeyList{}
	for {
		if err := c.client.List(ctx, list, client.Limit(comparePageSize), client.Continue(list.Continue)); err != nil {
			return 0, err
		}
		for i := range list.Items {
			claims = append(claims, claimOf(&list.Items[i]))
		}
		if list.Continue == "" {
			break
		}
	}
	if err := c.settle(ctx); err != nil {
		return 0, err
	}
	return c.index.repair(claims, known), nil
}

func (c *comparer) compareOrganizations(ctx context.Context) (repairs int, err error) {
	list := &v1alpha1.OrganizationList{}
	if err := c.client.List(ctx, list); err != nil {
		return 0, err
	}
	if err := c.settle(ctx); err != nil {
		return 0, err
	}
	for i := range list.Items {
		if c.index.applyOrganization(list.Items[i].Name, organizationOf(&list.Items[i])) {
			repairs++
		}
	}
	return repairs, nil
}

// settle gives the watch the time to bring what the list has shown: a change
// that is merely on its way is no difference.
func (c *comparer) settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.clock.After(lostAfter):
		return nil
	}
}

// beginComparison returns the revision of each claim that the index holds, and
// begins to note what is removed.
func (ix *index) beginComparison() map[types.UID]string {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.removed = map[types.UID]struct{}{}
	known := make(map[types.UID]string, len(ix.claims))
	for uid, c := range ix.claims {
		known[uid] = c.revision
	}
	return known
}

func (ix *index) endComparison() {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.removed = nil
}

// repair makes the index agree with a list that was made after known was taken,
// and returns how many claims differed. The feed goes on meanwhile: what it
// removed or changed since is newer than the list, and stays.
func (ix *index) repair(listed []claim, known map[types.UID]string) (repairs int) {
	uids := make(map[types.UID]struct{}, len(listed))
	for i := range listed {
		uids[listed[i].uid] = struct{}{}
		if ix.wasRemoved(listed[i].uid) {
			continue
		}
		if taken, _ := ix.apply(listed[i]); taken {
			repairs++
		}
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for uid := range known {
		if _, ok := uids[uid]; ok || ix.claims[uid] == nil {
			continue
		}
		ix.removeLocked(uid)
		repairs++
	}
	return repairs
}

func (ix *index) wasRemoved(uid types.UID) bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	_, ok := ix.removed[uid]
	return ok
}
