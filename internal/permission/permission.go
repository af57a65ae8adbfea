// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package permission is an Organization's word on which namespaces may have keys. The
// manager and each auth server judge by it, so that it stands once.
//
// It is pure. It must never permit what it cannot read.
package permission

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// Namespaces are the namespaces that an Organization permits. The zero value permits
// none. It is never changed.
type Namespaces struct {
	names    sets.Set[string]
	selector labels.Selector
}

// Of reads spec.namespaces of an Organization. If its selector is invalid, that is the
// error, and the result permits what is named.
func Of(policy *v1alpha1.NamespacePolicy) (Namespaces, error) {
	permitted := Namespaces{names: sets.New(policy.Names...)}
	if policy.Selector == nil {
		return permitted, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(policy.Selector)
	if err != nil {
		return permitted, fmt.Errorf("spec.namespaces.selector: %w", err)
	}
	permitted.selector = selector
	return permitted, nil
}

// Permit reports whether the namespace of that name, which has these labels, may have
// keys.
func (n Namespaces) Permit(name string, namespace labels.Set) bool {
	return n.names.Has(name) || n.selector != nil && n.selector.Matches(namespace)
}
