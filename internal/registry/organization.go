// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"sync/atomic"
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/permission"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// organization is what the index knows of an Organization. It is never changed.
type organization struct {
	revision string
	id       string
	scopes   scope.Set
	// maxKeyAge is the age at which keys are refused; 0 for none.
	maxKeyAge time.Duration
	// active: exists, is not being deleted, not suspended and not refused.
	active bool
	// namespaces are those that it permits.
	namespaces permission.Namespaces
	// imports says which imported keys are accepted.
	imports v1alpha1.ImportPolicy
	// blocked are the APIKeys whose keys are refused; nil for none.
	blocked sets.Set[v1alpha1.BlockedAPIKey]
	// refused: the object is invalid.
	refused bool
}

func organizationOf(org *v1alpha1.Organization) organization {
	o := organization{
		revision: org.ResourceVersion,
		id:       unique.Make(org.EffectiveID()).Value(),
		scopes:   scope.Of(org.EffectiveScopes()...),
		active:   org.DeletionTimestamp.IsZero() && !org.Spec.Suspend && org.Refusal == "",
		imports:  org.EffectiveImports(),
		refused:  org.Refusal != "",
	}
	// A selector that is invalid permits nothing; the manager says so in the status.
	o.namespaces, _ = permission.Of(&org.Spec.Namespaces)
	if org.Spec.MaxKeyAge != nil {
		o.maxKeyAge = org.Spec.MaxKeyAge.Duration
	}
	if len(org.Spec.Blocked) > 0 {
		o.blocked = sets.New(org.Spec.Blocked...)
	}
	return o
}

// namespace is what the index knows of a Namespace.
type namespace struct {
	revision string
	labels   labels.Set
}

// organizationEntry is the place of one Organization in the index. It is there while
// the Organization exists or an APIKey claims it.
type organizationEntry struct {
	// state is nil while there is no Organization of that name.
	state *organization
	// permits are the namespaces with APIKeys that claim it.
	permits map[string]*permit
}

// permit is one Organization as it applies to one namespace. The grants of all its APIKeys
// share it, so that one store changes them all.
type permit struct {
	organization, namespace string
	// claims is how many claims share it.
	claims int
	// state is the Organization; nil if there is none, or it does not permit the
	// namespace.
	state atomic.Pointer[organization]
}

// claimPermit returns the permit of c, which c shares from then on.
func (ix *index) claimPermit(c *claim) *permit {
	entry := ix.organization(c.organizationName)
	p := entry.permits[c.namespace]
	if p == nil {
		p = &permit{organization: c.organizationName, namespace: c.namespace}
		entry.permits[c.namespace] = p
		ix.judgePermit(p, entry)
	}
	p.claims++
	return p
}

// releasePermit takes c's share back, so that the index has no more permits than
// claims.
func (ix *index) releasePermit(c *claim) {
	p := c.permit
	if p == nil {
		return
	}
	if p.claims--; p.claims > 0 {
		return
	}
	delete(ix.organizations[p.organization].permits, p.namespace)
	ix.tidyOrganization(p.organization)
}

// judgePermit updates p to entry's Organization and the namespace as they are now.
func (ix *index) judgePermit(p *permit, entry *organizationEntry) {
	var state *organization
	// A namespace that is not known has no labels; its name may be permitted.
	if entry.state != nil && entry.state.namespaces.Permit(ix.namespaces[p.namespace].labels) {
		state = entry.state
	}
	p.state.Store(state)
}

func (ix *index) organization(name string) *organizationEntry {
	entry := ix.organizations[name]
	if entry == nil {
		entry = &organizationEntry{permits: map[string]*permit{}}
		ix.organizations[name] = entry
	}
	return entry
}

// setOrganization applies state, nil if it is gone, to every permit of an Organization.
func (ix *index) setOrganization(name string, state *organization) {
	entry := ix.organization(name)
	entry.state = state
	for _, p := range entry.permits {
		ix.judgePermit(p, entry)
	}
	ix.tidyOrganization(name)
}

func (ix *index) tidyOrganization(name string) {
	if entry := ix.organizations[name]; entry != nil && entry.state == nil && len(entry.permits) == 0 {
		delete(ix.organizations, name)
	}
}

// applyOrganization applies an Organization, unless a later revision is known.
func (ix *index) applyOrganization(name string, org organization) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.applyOrganizationLocked(name, org)
}

func (ix *index) applyOrganizationLocked(name string, org organization) (taken bool) {
	if entry := ix.organizations[name]; entry != nil && entry.state != nil && !later(org.revision, entry.state.revision) {
		return false
	}
	ix.setOrganization(name, &org)
	return true
}

func (ix *index) removeOrganization(name string) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.removeOrganizationLocked(name)
}

func (ix *index) removeOrganizationLocked(name string) {
	if ix.comparing != nil {
		ix.comparing.organizations.Insert(name)
	}
	ix.setOrganization(name, nil)
}

// replaceOrganizations makes the index hold exactly these, as of a whole list.
func (ix *index) replaceOrganizations(orgs map[string]organization) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.comparing = nil
	for name := range ix.organizations {
		if _, ok := orgs[name]; !ok {
			ix.removeOrganizationLocked(name)
		}
	}
	for name, org := range orgs {
		ix.applyOrganizationLocked(name, org)
	}
}

// applyNamespace applies a Namespace, unless a later revision is known. It reports whether
// its labels have changed.
func (ix *index) applyNamespace(name string, ns namespace) (relabeled bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.applyNamespaceLocked(name, ns)
}

func (ix *index) applyNamespaceLocked(name string, ns namespace) (relabeled bool) {
	before, known := ix.namespaces[name]
	if known && !later(ns.revision, before.revision) {
		return false
	}
	ix.namespaces[name] = ns
	if known && labels.Equals(before.labels, ns.labels) {
		return false
	}
	ix.judgeNamespace(name)
	return true
}

// judgeNamespace updates every permit for a namespace.
func (ix *index) judgeNamespace(name string) {
	for _, entry := range ix.organizations {
		if p := entry.permits[name]; p != nil {
			ix.judgePermit(p, entry)
		}
	}
}

func (ix *index) removeNamespace(name string) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.removeNamespaceLocked(name)
}

func (ix *index) removeNamespaceLocked(name string) {
	if ix.comparing != nil {
		ix.comparing.namespaces.Insert(name)
	}
	delete(ix.namespaces, name)
	ix.judgeNamespace(name)
}

// replaceNamespaces makes the index hold exactly these, as of a whole list.
func (ix *index) replaceNamespaces(namespaces map[string]namespace) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.comparing = nil
	for name := range ix.namespaces {
		if _, ok := namespaces[name]; !ok {
			ix.removeNamespaceLocked(name)
		}
	}
	for name, ns := range namespaces {
		ix.applyNamespaceLocked(name, ns)
	}
}
