// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

// emitEarly tells what nobody could tell after the write that is to come. A line twice is
// better than none, but not from one process: the write may be kept from coming as often as
// somebody else writes.
func (l *look) emitEarly(ctx context.Context, transitions []lifecycle.Transition) {
	for i := range transitions {
		t := &transitions[i]
		if m := l.recall(l.facts.Key.UID); !t.Early || m.told.Has(t.KeyID) {
			continue
		}
		l.remember(l.facts.Key.UID, func(m *memory) { m.told.Insert(t.KeyID) })
		l.record(ctx, t)
	}
}

// emit tells what has happened: people by events, and the audit trail.
func (l *look) emit(ctx context.Context, transitions []lifecycle.Transition) {
	for i := range transitions {
		if t := &transitions[i]; !t.Early {
			l.event(ctx, t)
			l.record(ctx, t)
		}
	}
}

// event writes the event of a transition, where there is one.
func (l *look) event(ctx context.Context, t *lifecycle.Transition) {
	key, secret := l.facts.Key, l.facts.Key.SecretName()
	switch t.What {
	case lifecycle.Published:
		if t.PreviousKeyID == "" {
			l.Events.Normal(key, v1alpha1.EventMinted, "Publish", "Secret %s holds key %s.", secret, t.KeyID)
		}
	case lifecycle.Rotated:
		l.Events.Normal(key, v1alpha1.EventRotated, "Rotate", "Secret %s holds key %s. Key %s works until nothing uses it.", secret, t.KeyID, t.PreviousKeyID)
	case lifecycle.Undone:
		l.Events.Normal(key, v1alpha1.EventRotationUndone, "Rotate", "Key %s is the current one again. Key %s works until nothing uses it.", t.KeyID, t.PreviousKeyID)
	case lifecycle.Repaired:
		l.Events.Warning(key, v1alpha1.EventSecretDrifted, "Register",
			"Secret %s was deleted or edited. Key %s is being revoked, and key %s is minted.", secret, t.PreviousKeyID, t.KeyID)
	case lifecycle.Restored:
		l.Events.Normal(key, v1alpha1.EventRestoredMintedAnew, "Register",
			"The status or Secret %s is from a backup, or was left by an earlier APIKey of this name. No key of it is accepted, and key %s is minted.", secret, t.KeyID)
	case lifecycle.Duplicated:
		l.Events.Warning(key, v1alpha1.EventDuplicateDigest, "Register", "Key %s belongs to an older APIKey. It is revoked here, and another is minted.", t.KeyID)
	case lifecycle.InUse:
		from := "No auth server has told from where."
		if t.Use.From != "" {
			from = fmt.Sprintf("Since it was replaced it was used for %d requests: %s.", t.Use.Requests, strings.TrimSuffix(t.Use.From, ", "))
		}
		l.Events.Warning(key, v1alpha1.EventRetiredInUse, "Retire", "Key %s is revoked at spec.rotation.overlap.max and may still be in use. %s", t.KeyID, from)
	case lifecycle.Refused, lifecycle.Suspended:
		if t.Message == "" {
			return
		}
		l.Events.Warning(key, t.Reason, "Permit", "%s", t.Message)
		if t.Reason == v1alpha1.ReasonInvalidObject {
			log.FromContext(ctx).Info("object refused", "refusal", t.Message)
		}
	case lifecycle.Widened:
		l.Events.Warning(key, v1alpha1.EventScopesWidened, "Permit", "The key has more scopes than before: %s. To keep it narrow, name its scopes in spec.scopes.", t.Message)
	case lifecycle.Warned:
		l.Events.Warning(key, v1alpha1.EventExpiringSoon, "Permit", "%s", t.Message)
	case lifecycle.BackedOff:
		l.Events.Warning(key, t.Reason, "Register", "%s", t.Message)
	case lifecycle.ImportStopped:
		l.Events.Warning(key, t.Reason, "Import", "%s", t.Message)
	case lifecycle.ImportRefused:
		l.contest(ctx, t)
	case lifecycle.Minted, lifecycle.Imported, lifecycle.Ended, lifecycle.Expired, lifecycle.Resumed:
		// The audit trail has these; people read them in the status.
	}
}

// contest tells who has a hash that it was listed by another, whom it does not name: that
// may be in a namespace that is none of the holder's business. The other learns who has it
// only in its own namespace.
func (l *look) contest(ctx context.Context, t *lifecycle.Transition) {
	rivals := l.facts.Rivals[t.Message]
	if len(rivals) == 0 {
		return
	}
	holder := &v1alpha1.APIKey{}
	if err := l.Get(ctx, client.ObjectKey{Namespace: rivals[0].Namespace, Name: rivals[0].Name}, holder, client.DisableReadYourWritesConsistency); err == nil {
		l.Events.Warning(holder, v1alpha1.EventImportContested, "Import",
			"Another APIKey lists key %s in spec.importedKeys, and is refused. If the key is not yours, take it out of spec.importedKeys. A platform admin can decide with the Organization's spec.blocked.", t.KeyID)
	}
	if rivals[0].Namespace == l.facts.Key.Namespace {
		l.Events.Warning(l.facts.Key, v1alpha1.ReasonImportRefused, "Import", "Key %s is one of APIKey %q, or has the ID of one.", t.KeyID, rivals[0].Name)
	}
}
