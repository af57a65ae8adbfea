// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
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

// compare lists everything as it is now and repairs the index.
func (c *comparer) compare(ctx context.Context) error {
	before := c.index.beginComparison()
	defer c.index.endComparison()
	claims, err := c.listClaims(ctx)
	if err != nil {
		return fmt.Errorf("compare APIKeys: %w", err)
	}
	organizations, err := c.listOrganizations(ctx)
	if err != nil {
		return fmt.Errorf("compare Organizations: %w", err)
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	for kind, repairs := range map[string]int{
		kindAPIKey:       c.index.repair(claims, before),
		kindOrganization: c.index.repairOrganizations(organizations, before),
	} {
		c.metrics.repairs.WithLabelValues(kind).Add(float64(repairs))
		if repairs > 0 {
			c.log.Error(nil, "the index differed from a consistent list and was repaired: a watch has lost events, or is late", "kind", kind, "repairs", repairs)
		}
	}
	return nil
}

func (c *comparer) listClaims(ctx context.Context) ([]claim, error) {
	var claims []claim
	list := &v1alpha1.APIKeyList{}
	for {
		if err := c.client.List(ctx, list, client.Limit(comparePageSize), client.Continue(list.Continue)); err != nil {
			return nil, err
		}
		for i := range list.Items {
			claims = append(claims, claimOf(&list.Items[i]))
		}
		if list.Continue == "" {
			return claims, nil
		}
	}
}

func (c *comparer) listOrganizations(ctx context.Context) (map[string]organization, error) {
	list := &v1alpha1.OrganizationList{}
	if err := c.client.List(ctx, list); err != nil {
		return nil, err
	}
	organizations := make(map[string]organization, len(list.Items))
	for i := range list.Items {
		organizations[list.Items[i].Name] = organizationOf(&list.Items[i])
	}
	return organizations, nil
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

// held is what the index held when a comparison began.
type held struct {
	claims        sets.Set[types.UID]
	organizations sets.Set[string]
}

// beginComparison returns what the index holds, and begins to note what is
// removed from it.
func (ix *index) beginComparison() held {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.comparing = &removals{claims: sets.New[types.UID](), organizations: sets.New[string]()}
	before := held{claims: sets.KeySet(ix.claims), organizations: sets.New[string]()}
	for name, slot := range ix.organizations {
		if slot.state.Load() != nil {
			before.organizations.Insert(name)
		}
	}
	return before
}

func (ix *index) endComparison() {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.comparing = nil
}

// repair makes the index agree with a list that was made after before was taken,
// and returns how many claims differed. The feed goes on meanwhile: what it has
// removed or changed since is newer than the list, and stays. All of it is under
// one lock: a removal between look and repair would bring a dead key back.
func (ix *index) repair(listed []claim, before held) (repairs int) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.comparing == nil {
		return 0
	}
	uids := sets.New[types.UID]()
	for i := range listed {
		uids.Insert(listed[i].uid)
		if ix.comparing.claims.Has(listed[i].uid) {
			continue
		}
		if taken, _ := ix.applyLocked(listed[i]); taken {
			repairs++
		}
	}
	for uid := range before.claims.Difference(uids) {
		if ix.claims[uid] != nil {
			ix.removeLocked(uid)
			repairs++
		}
	}
	return repairs
}

// repairOrganizations is repair for Organizations.
func (ix *index) repairOrganizations(listed map[string]organization, before held) (repairs int) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.comparing == nil {
		return 0
	}
	for name, org := range listed {
		if ix.comparing.organizations.Has(name) {
			continue
		}
		if ix.applyOrganizationLocked(name, org) {
			repairs++
		}
	}
	for name := range before.organizations {
		if _, ok := listed[name]; ok || ix.comparing.organizations.Has(name) {
			continue
		}
		ix.removeOrganizationLocked(name)
		repairs++
	}
	return repairs
}
