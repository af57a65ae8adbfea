// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/permission"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// permit finds out whether the Organization permits the key, and whether the key
// is to work just now. If not, withdraw comes next.
func (r *APIKeyReconciler) permit(ctx context.Context, p *pass) (next bool, err error) {
	if p.key.Refusal != "" {
		// Nothing that its spec says counts, as the Organization that it names.
		p.permission = stuck(v1alpha1.ReasonInvalidObject, p.key.Refusal)
		return true, nil
	}
	lookAgainForExpiry(p)
	namespace, err := p.askPermission(ctx, r.Client)
	if err == nil && !p.permission.ok && !p.refusedBefore() {
		// An Organization that was applied together with its APIKeys may not have
		// come into the cache yet: nobody is refused for that.
		namespace, err = p.askPermission(ctx, r.Live)
	}
	if err != nil || !p.permission.ok {
		return true, err
	}
	if err := r.completeSpec(ctx, p); err != nil {
		return false, err
	}
	p.key.Status.OrganizationID = p.organization.EffectiveID()
	p.dormancy = dormancy(p.key, p.now)
	if p.dormancy.reason != "" {
		return true, nil
	}
	// A namespace that is going away deletes its Secrets first. That is no
	// drift, and no new key can be published there: the APIKey itself is next.
	return namespace.DeletionTimestamp.IsZero(), nil
}

// completeSpec reads what the cache has left out of an APIKey that was not permitted yet.
func (r *APIKeyReconciler) completeSpec(ctx context.Context, p *pass) error {
	if !p.key.Trimmed {
		return nil
	}
	live := &v1alpha1.APIKey{}
	if err := r.Live.Get(ctx, p.identity(), live); err != nil {
		return fmt.Errorf("get APIKey: %w", err)
	}
	if live.UID != p.key.UID || live.Generation != p.key.Generation {
		// The cache is about to show it.
		return apierrors.NewConflict(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "apikeys"}, live.Name, errors.New("it has changed"))
	}
	p.key.Spec.Secret, p.key.Trimmed = live.Spec.Secret, false
	p.observed.Spec.Secret, p.observed.Trimmed = *live.Spec.Secret.DeepCopy(), false
	return nil
}

// askPermission decides on permission by what reader has of the Organization and
// of the namespace, which it returns.
func (p *pass) askPermission(ctx context.Context, reader client.Reader) (*metav1.PartialObjectMetadata, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(namespaceKind)
	if err := reader.Get(ctx, client.ObjectKey{Name: p.key.Namespace}, namespace); err != nil {
		return nil, fmt.Errorf("get namespace: %w", err)
	}
	p.namespaceRevision = namespace.ResourceVersion
	p.organization = nil
	organization := &v1alpha1.Organization{}
	switch err := reader.Get(ctx, client.ObjectKey{Name: p.key.Spec.OrganizationRef.Name}, organization); {
	case err == nil:
		p.organization = organization
	case !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("get organization: %w", err)
	}
	p.permission = permissionOf(p.key, p.organization, namespace.Labels)
	return namespace, nil
}

// refusedBefore reports whether the status gives this refusal already.
func (p *pass) refusedBefore() bool {
	condition := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionPermitted)
	return condition != nil && condition.Reason == p.permission.reason
}

// permissionOf decides whether organization permits key in a namespace with these
// labels.
func permissionOf(key *v1alpha1.APIKey, organization *v1alpha1.Organization, namespace map[string]string) finding {
	name := key.Spec.OrganizationRef.Name
	switch {
	case organization == nil:
		return stuck(v1alpha1.ReasonOrganizationNotFound,
			fmt.Sprintf("there is no Organization %q: ask a platform admin to create it, or correct spec.organizationRef.name in a new APIKey", name))
	case organization.Refusal != "":
		return stuck(v1alpha1.ReasonInvalidOrganization,
			fmt.Sprintf("Organization %q is refused, and its keys with it. Ask a platform admin to correct it: its condition Ready says what is wrong.", name))
	}
	// First of all: whoever is not permitted learns nothing else of an Organization, and
	// nothing that becomes of it is a change for APIKeys that only name it.
	if found := namespacePermission(key.Namespace, organization, namespace); !found.ok {
		return found
	}
	switch {
	case organization.Blocks(key.Namespace, key.Name):
		return stuck(v1alpha1.ReasonBlocked, "The Organization blocks this APIKey. Ask a platform admin.")
	case !organization.DeletionTimestamp.IsZero():
		return stuck(v1alpha1.ReasonOrganizationNotFound, fmt.Sprintf("Organization %q is being deleted", name))
	case organization.Spec.Suspend:
		return stuck(v1alpha1.ReasonOrganizationSuspended,
			fmt.Sprintf("Organization %q is suspended: a platform admin can set its spec.suspend to false", name))
	case len(key.Status.Versions) > 0 && key.Status.OrganizationID != organization.EffectiveID():
		return stuck(v1alpha1.ReasonOrganizationChanged,
			fmt.Sprintf("the key was minted for organization id %q, and Organization %q now has id %q: create another APIKey", key.Status.OrganizationID, name, organization.EffectiveID()))
	}
	beyond := scope.Of(key.Spec.Scopes...).Without(scope.Of(organization.EffectiveScopes()...))
	if !beyond.Empty() {
		return stuck(v1alpha1.ReasonScopeNotPermitted,
			fmt.Sprintf("Organization %q does not have these scopes: %s; it has %s: take them out of spec.scopes", name, beyond, scope.Of(organization.EffectiveScopes()...)))
	}
	return good(v1alpha1.ReasonPermitted, fmt.Sprintf("Organization %q permits namespace and scopes", name))
}

func namespacePermission(namespace string, organization *v1alpha1.Organization, namespaceLabels map[string]string) finding {
	permitted, err := permission.Of(&organization.Spec.Namespaces)
	switch {
	case permitted.Permit(namespaceLabels):
		return finding{ok: true}
	case err != nil:
		return stuck(v1alpha1.ReasonInvalidSelector,
			fmt.Sprintf("spec.namespaces.selector of Organization %q cannot be read. Ask a platform admin to correct it.", organization.Name))
	}
	return stuck(v1alpha1.ReasonNamespaceNotPermitted,
		fmt.Sprintf("Organization %q does not permit namespace %q: ask a platform admin to add it to spec.namespaces", organization.Name, namespace))
}

// dormancy decides why a key that is permitted is not to work at now. The zero
// finding means that it is to work.
func dormancy(key *v1alpha1.APIKey, now time.Time) finding {
	expiry, expires := key.Expiry()
	switch {
	case key.Spec.Suspend:
		return stuck(v1alpha1.ReasonSuspended, "spec.suspend is true: the key is refused until it is false")
	case expires && !now.Before(expiry.Time):
		return stuck(v1alpha1.ReasonExpired, expired(key, expiry.Time))
	}
	return finding{}
}
