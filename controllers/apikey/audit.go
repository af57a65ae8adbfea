// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

// actions are the audit lines of transitions. Others have none.
var actions = map[lifecycle.What]audit.Action{
	lifecycle.Minted: audit.Minted, lifecycle.Restored: audit.Minted, lifecycle.Repaired: audit.DriftRepaired, lifecycle.Imported: audit.Imported,
	lifecycle.Published: audit.Published, lifecycle.Rotated: audit.Rotated, lifecycle.Undone: audit.RotationUndone, lifecycle.Ended: audit.Revoked,
	lifecycle.Refused: audit.Refused, lifecycle.Suspended: audit.Suspended, lifecycle.Expired: audit.Expired, lifecycle.Resumed: audit.Resumed,
	lifecycle.Widened: audit.Widened,
}

// causes are why the manager mints or ends a version by itself. The others a user of the
// API wanted.
var causes = map[string]string{
	string(v1alpha1.MintInterval):     audit.CauseSchedule,
	string(v1alpha1.MintMaxKeyAge):    audit.CauseSchedule,
	string(v1alpha1.MintDrifted):      audit.CauseDrift, // and RevokedDrifted
	string(v1alpha1.RevokedConflict):  audit.CauseDrift,
	string(v1alpha1.RevokedDuplicate): audit.CauseDuplicate, // and MintDuplicate
	string(v1alpha1.MintRestored):     audit.CauseRecovery,
	string(v1alpha1.RevokedAbandoned): audit.CauseRecovery,
	string(v1alpha1.RevokedForbidden): audit.CausePermission,
	string(v1alpha1.RevokedBlocked):   audit.CausePermission,
	string(v1alpha1.RevokedUnused):    audit.CauseUsage,
	string(v1alpha1.RevokedAtMax):     audit.CauseOverlap,
	string(v1alpha1.RevokedInUse):     audit.CauseOverlap,
}

// record writes the audit line of a transition, where there is one. That a line is missing
// must not keep a key from being revoked, so it is logged and goes no further.
func (l *look) record(ctx context.Context, t *lifecycle.Transition) {
	action, ok := actions[t.What]
	switch {
	case t.What == lifecycle.ImportRefused:
		l.noteRefusal(t.Reason, l.importRefusal(t))
		return
	case t.What == lifecycle.ImportStopped && t.Reason == v1alpha1.ReasonImportForbidden:
		l.noteRefusal(t.Reason, fmt.Sprintf("APIKey %s lists keys in spec.importedKeys", client.ObjectKeyFromObject(l.facts.Key)))
		return
	case !ok:
		return
	case t.What == lifecycle.Ended && t.Replaced:
		action = audit.Retired
	}
	actor := l.actor(t)
	if t.What == lifecycle.Refused && t.KeyID == "" {
		// Nothing that worked has stopped: whoever may create APIKeys can have as many
		// refused as they like.
		l.Refusals.Note(audit.Kind{Reason: t.Reason, Object: audit.Object{Namespace: l.facts.Key.Namespace}, Actor: actor})
		return
	}
	l.Reconciler.record(ctx, l.facts.Key, audit.Event{
		Action: action, KeyID: t.KeyID, PreviousKeyID: t.PreviousKeyID, Reason: t.Reason, Message: t.Message, Actor: actor, Requests: t.Use.Requests,
	})
}

func (r *Reconciler) record(ctx context.Context, key *v1alpha1.APIKey, event audit.Event) {
	event.Object = audit.Object{Namespace: key.Namespace, Name: key.Name, UID: key.UID, Generation: key.Generation}
	event.Organization = key.Status.OrganizationID
	if err := r.Audit.Record(event); err != nil {
		log.FromContext(ctx).Error(err, "audit line lost", "action", event.Action, "keyID", event.KeyID)
	}
}

// recordEscape writes an audit line about an APIKey that went although this manager
// has not let it go: somebody took the finalizer off. Auth servers refuse its keys
// when they see it gone, and nobody waited until they did.
func (r *Reconciler) recordEscape(ctx context.Context, key *v1alpha1.APIKey) {
	if r.recall(key.UID).released || len(key.Status.Versions) == 0 {
		return
	}
	r.record(ctx, key, audit.Event{
		Action: audit.Revoked, KeyID: key.Status.KeyID, Reason: v1alpha1.ReasonFinalizerRemoved, Actor: audit.Deletion(key),
		Message: "The finalizer was taken off, so nobody waited for auth servers to drop the keys.",
	})
}

// noteRefusal counts an import that was refused towards a line: whoever may create APIKeys
// can have as many refused as they like.
func (l *look) noteRefusal(reason, message string) {
	l.Refusals.NoteLatest(audit.Kind{Reason: reason, Object: audit.Object{Namespace: l.facts.Key.Namespace}, Actor: l.user()}, message)
}

// importRefusal is for the audit trail, which is the platform's, and names who has the hash.
func (l *look) importRefusal(t *lifecycle.Transition) string {
	message := fmt.Sprintf("APIKey %s: spec.importedKeys has key %s", client.ObjectKeyFromObject(l.facts.Key), t.KeyID)
	if rivals := l.facts.Rivals[t.Message]; len(rivals) > 0 {
		message += fmt.Sprintf(", which APIKey %s/%s has, or one with the same ID", rivals[0].Namespace, rivals[0].Name)
	}
	return message
}

// actor says who wanted a transition: what the spec asks for, its last user did; what time,
// use or a Secret brought about, the manager did by itself.
func (l *look) actor(t *lifecycle.Transition) audit.Actor {
	key := l.facts.Key
	cause, byManager := causes[t.Reason]
	switch {
	case t.What == lifecycle.Ended && t.RevokedBy != nil:
		return audit.Actor{Kind: audit.ActorUser, Name: t.RevokedBy.Username, UID: t.RevokedBy.UID}
	case t.What == lifecycle.Ended && t.Reason == "":
		return audit.Deletion(key)
	case t.What == lifecycle.Expired:
		return audit.Manager(audit.CauseExpiry)
	case t.What == lifecycle.Refused, t.What == lifecycle.Suspended, t.What == lifecycle.Resumed:
		return l.actorOfAdmission(t)
	case t.What == lifecycle.Widened && key.Generation == key.Status.AppliedGeneration:
		return l.actorOfPermission()
	case byManager:
		return audit.Manager(cause)
	}
	return l.user()
}

// user is who last changed the spec, or nobody knows who did: the stamp of an APIKey from a
// backup came with it.
func (l *look) user() audit.Actor {
	if l.restored {
		return audit.Actor{Kind: audit.ActorUnknown}
	}
	return audit.User(l.facts.Key)
}

// actorOfAdmission says who wanted that keys are refused, or accepted again.
func (l *look) actorOfAdmission(t *lifecycle.Transition) audit.Actor {
	switch t.Reason {
	case v1alpha1.ReasonSuspended, v1alpha1.ReasonExpired:
		return l.user()
	case v1alpha1.ReasonOrganizationSuspended, v1alpha1.ReasonBlocked:
		if l.facts.Organization != nil {
			return audit.UserOf("Organization", l.facts.Organization)
		}
	}
	if len(l.facts.Key.Status.Versions) == 0 {
		// It has never worked: whoever asked for it is refused.
		return l.user()
	}
	return l.actorOfPermission()
}

// actorOfPermission is the manager, which found that the permission has changed: by a
// change of the Organization, whose last user is known, or of the namespace's labels.
func (l *look) actorOfPermission() audit.Actor {
	actor := audit.Manager(audit.CausePermission)
	if organization := l.facts.Organization; organization != nil {
		actor.Of = "Organization/" + organization.Name
		actor.LastChangedBy = audit.User(organization).Name
	}
	return actor
}
