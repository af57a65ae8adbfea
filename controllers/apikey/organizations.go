// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// WithSameID returns the other Organizations that have the id of organization, from the cache.
// They are not to be changed.
func WithSameID(ctx context.Context, cache client.Reader, organization *v1alpha1.Organization) ([]v1alpha1.Organization, error) {
	list := &v1alpha1.OrganizationList{}
	same := client.MatchingFields{indexOrganizationID: organization.EffectiveID()}
	if err := cache.List(ctx, list, same, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return nil, fmt.Errorf("list Organizations with the same id: %w", err)
	}
	var others []v1alpha1.Organization
	for i := range list.Items {
		if list.Items[i].UID != organization.UID {
			others = append(others, list.Items[i])
		}
	}
	return others, nil
}

// Elder returns the name of an older Organization that has the id of organization, or "": the
// data of an organization must not open to whoever an Organization made later permits. One that
// is refused itself has no id.
func Elder(ctx context.Context, cache client.Reader, organization *v1alpha1.Organization) (string, error) {
	others, err := WithSameID(ctx, cache, organization)
	for i := range others {
		if other := &others[i]; other.Refusal == "" && other.OlderThan(organization) {
			return other.Name, nil
		}
	}
	return "", err
}
