// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

const (
	// pageSize bounds one answer of the API server to a list: with it, and with
	// v1alpha1.MaxObjectSize, the memory that a list takes is bounded.
	pageSize = 50
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

// spread is interval for one replica: up to a fifth longer, by the name of its Lease, so
// that not all replicas list everything at the same time.
func spread(interval time.Duration, lease string) time.Duration {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(lease)) // never fails
	return interval + time.Duration(float64(interval)/5*float64(hash.Sum32())/math.MaxUint32)
}

func newComparer(config ReplicaConfig, metrics *replicaMetrics, ix *index) *comparer {
	return &comparer{
		client: config.Client, clock: config.Clock, interval: spread(config.CompareInterval, config.LeaseName),
		log: config.Log, metrics: metrics, index: ix,
	}
}

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
			c.log.Info("could not compare the index with a consistent list", "error", err.Error())
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
	namespaces, err := c.listNamespaces(ctx)
	if err != nil {
		return fmt.Errorf("compare Namespaces: %w", err)
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	for kind, repairs := range map[string]int{
		kindAPIKey:       c.index.repair(claims, before),
		kindOrganization: c.index.repairOrganizations(organizations, before),
		kindNamespace:    c.index.repairNamespaces(namespaces, before),
	} {
		c.metrics.repairs.WithLabelValues(kind).Add(float64(repairs))
		if repairs > 0 {
			c.log.Error(nil, "repaired the index: a watch lost events, or is late", "kind", kind, "repairs", repairs)
		}
	}
	return nil
}

func (c *comparer) listClaims(ctx context.Context) (claims []claim, err error) {
	err = c.each(ctx, newAPIKeyList, func(obj runtime.Object) {
		claims = append(claims, claimOf(obj.(*v1alpha1.APIKey)))
	})
	return claims, err
}

func (c *comparer) listOrganizations(ctx context.Context) (map[string]organization, error) {
	organizations := map[string]organization{}
	err := c.each(ctx, newOrganizationList, func(obj runtime.Object) {
		org := obj.(*v1alpha1.Organization)
		organizations[org.Name] = organizationOf(org)
	})
	return organizations, err
}

func (c *comparer) listNamespaces(ctx context.Context) (map[string]namespace, error) {
	namespaces := map[string]namespace{}
	err := c.each(ctx, newNamespaceList, func(obj runtime.Object) {
		ns := obj.(*metav1.PartialObjectMetadata)
		namespaces[ns.Name] = namespaceOf(ns)
	})
	return namespaces, err
}

// each calls do for each object of a whole list, page by page.
func (c *comparer) each(ctx context.Context, newList func() client.ObjectList, do func(runtime.Object)) error {
	for next := ""; ; {
		page := newList()
		if err := c.client.List(ctx, page, client.Limit(pageSize), client.Continue(next)); err != nil {
			return err
		}
		if err := meta.EachListItem(page, func(obj runtime.Object) error { do(obj); return nil }); err != nil {
			return err
		}
		if next = page.GetContinue(); next == "" {
			return nil
		}
	}
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
	claims                    sets.Set[types.UID]
	organizations, namespaces sets.Set[string]
}

// beginComparison returns what the index holds, and begins to note what is
// removed from it.
func (ix *index) beginComparison() held {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.comparing = &removals{claims: sets.New[types.UID](), organizations: sets.New[string](), namespaces: sets.New[string]()}
	before := held{claims: sets.KeySet(ix.claims), organizations: sets.New[string](), namespaces: sets.KeySet(ix.namespaces)}
	for name, entry := range ix.organizations {
		if entry.state != nil {
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

func (ix *index) repairNamespaces(listed map[string]namespace, before held) (repairs int) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.comparing == nil {
		return 0
	}
	for name, ns := range listed {
		if ix.comparing.namespaces.Has(name) {
			continue
		}
		// One that has changed in what nobody asks for is no difference.
		if ix.applyNamespaceLocked(name, ns) {
			repairs++
		}
	}
	for name := range before.namespaces {
		if _, ok := listed[name]; ok || ix.comparing.namespaces.Has(name) {
			continue
		}
		ix.removeNamespaceLocked(name)
		repairs++
	}
	return repairs
}
