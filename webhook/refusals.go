// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// Refusals counts refused requests. *audit.Refusals does.
type Refusals interface {
	// Note is called for each. It must neither block nor keep the order.
	Note(kind audit.Kind)
}

// owner is whose key a request bears. It is for the audit trail, and lets nothing
// through.
type owner struct {
	organization, keyID, namespace, name string
}

func ownerOf(grant *registry.Grant) owner {
	return owner{organization: grant.Organization, keyID: grant.KeyID, namespace: grant.Namespace, name: grant.Name}
}

// refused notes a refusal: the reason, and whose key it was if that is known, but nothing
// that the client sent.
func (e *endpointMetrics) refused(reason Reason, c *requestAttributes) {
	if e.refusals == nil {
		return
	}
	e.refusals.Note(audit.Kind{
		Endpoint: e.endpoint, Reason: reason.String(),
		Object:       audit.Object{Namespace: c.owner.namespace, Name: c.owner.name},
		Organization: c.owner.organization, KeyID: c.owner.keyID,
	})
}
