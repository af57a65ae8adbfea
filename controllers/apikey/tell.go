// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

// telling is what a transition tells people, by an event, and the audit trail, by a line.
type telling struct {
	// line is "" where there is none; a transition without an event has no note.
	line audit.Action
	// normal: it is as it should be.
	normal bool
	// reason is that of the transition where it is empty.
	reason, action string
	// note has the Secret's name, the key's ID, that of the key in whose place it is, and what
	// the transition says, or its use, in the places of {secret}, {key}, {previous}, {message}
	// and {use}.
	note string
}

// tellings are those of all transitions.
var tellings = map[lifecycle.What]telling{
	// People read these in the status.
	lifecycle.Minted:   {line: audit.Minted},
	lifecycle.Imported: {line: audit.Imported},
	lifecycle.Ended:    {line: audit.Revoked},
	lifecycle.Expired:  {line: audit.Expired},
	lifecycle.Resumed:  {line: audit.Resumed},

	lifecycle.Published: {audit.Published, true, v1alpha1.EventMinted, "Publish", "Secret {secret} holds key {key}."},
	lifecycle.Rotated: {audit.Rotated, true, v1alpha1.EventRotated, "Rotate",
		"Secret {secret} holds key {key}. Key {previous} works until nothing uses it."},
	lifecycle.Undone: {audit.RotationUndone, true, v1alpha1.EventRotationUndone, "Rotate",
		"Key {key} is the current one again. Key {previous} works until nothing uses it."},
	lifecycle.Restored: {audit.Minted, true, v1alpha1.EventRestoredMintedAnew, "Register",
		"The status or Secret {secret} is from a backup, or was left by an earlier APIKey of this name. " +
			"No key of it is accepted, and key {key} is minted."},
	lifecycle.Repaired: {audit.DriftRepaired, false, v1alpha1.EventSecretDrifted, "Register",
		"Secret {secret} was deleted or edited. Key {previous} is being revoked, and key {key} is minted."},
	lifecycle.Duplicated: {"", false, v1alpha1.EventDuplicateDigest, "Register",
		"Key {key} belongs to an older APIKey. It is revoked here, and another is minted."},
	lifecycle.BackedOff: {"", false, "", "Register", "{message}"},
	lifecycle.InUse: {"", false, v1alpha1.EventRetiredInUse, "Retire",
		"Key {key} is revoked at spec.rotation.overlap.max and may still be in use. {use}"},
	lifecycle.Refused:   {audit.Refused, false, "", "Permit", "{message}"},
	lifecycle.Suspended: {audit.Suspended, false, "", "Permit", "{message}"},
	lifecycle.Widened: {audit.Widened, false, v1alpha1.EventScopesWidened, "Permit",
		"The key has more scopes than before: {message}. To keep it narrow, name its scopes in spec.scopes."},
	lifecycle.Warned:        {"", false, v1alpha1.EventExpiringSoon, "Permit", "{message}"},
	lifecycle.ImportStopped: {"", false, "", "Import", "{message}"},
	lifecycle.ImportRefused: {}, // see contest
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

// emitEarly tells what nobody could tell after the write that is to come. A line twice is
// better than none, but not from one process: the write may be kept from coming as often as
// somebody else writes.
func (l *look) emitEarly(ctx context.Context, transitions []lifecycle.Transition) {
	for i := range transitions {
		if t := &transitions[i]; t.Early && !slices.Contains(l.told, t.KeyID) {
			l.told = append(l.told, t.KeyID)
			l.remember()
			l.record(ctx, t)
		}
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
	if t.What == lifecycle.ImportRefused {
		l.contest(ctx, t)
		return
	}
	told, key := tellings[t.What], l.facts.Key
	note := strings.NewReplacer("{secret}", key.SecretName(), "{key}", t.KeyID, "{previous}", t.PreviousKeyID,
		"{message}", t.Message, "{use}", usedFrom(&t.Use)).Replace(told.note)
	if note == "" || t.What == lifecycle.Published && t.PreviousKeyID != "" { // which Rotated tells
		return
	}
	reason, write := told.reason, l.Events.Warning
	if reason == "" {
		reason = t.Reason
	}
	if told.normal {
		write = l.Events.Normal
	}
	write(key, reason, told.action, "%s", note)
	if reason == v1alpha1.ReasonInvalidObject {
		log.FromContext(ctx).Info("object refused", "refusal", t.Message)
	}
}

// usedFrom says where a key was used from that may still be in use.
func usedFrom(use *lifecycle.Use) string {
	if use.From == "" {
		return "No auth server has told from where."
	}
	return fmt.Sprintf("Since it was replaced it was used for %d requests: %s.", use.Requests, strings.TrimSuffix(use.From, ", "))
}

// contest tells who has a hash that it was listed by another, whom it does not name: that
// may be in a namespace that is none of the holder's business. The other learns who has it
// only in its own namespace.
func (l *look) contest(ctx context.Context, t *lifecycle.Transition) {
	rivals := l.facts.Rivals[t.Message]
	if len(rivals) == 0 {
		return
	}
	holder, name := &v1alpha1.APIKey{}, client.ObjectKey{Namespace: rivals[0].Namespace, Name: rivals[0].Name}
	if err := l.Get(ctx, name, holder, client.DisableReadYourWritesConsistency); err == nil {
		l.Events.Warning(holder, v1alpha1.EventImportContested, "Import",
			"Another APIKey lists key %s in spec.importedKeys, and is refused. If the key is not yours, take it out of spec.importedKeys. "+
				"A platform admin can decide with the Organization's spec.blocked.", t.KeyID)
	}
	if key := l.facts.Key; name.Namespace == key.Namespace {
		l.Events.Warning(key, v1alpha1.ReasonImportRefused, "Import",
			"Key %s is one of APIKey %q, or has the ID of one.", t.KeyID, name.Name)
	}
}

// record writes the audit line of a transition, where there is one. Refusals are counted
// towards a line, where nothing that worked has stopped: whoever may create APIKeys can have
// as many refused as they like. The trail is the platform's, and names who has a hash.
func (l *look) record(ctx context.Context, t *lifecycle.Transition) {
	key, line := l.facts.Key, tellings[t.What].line
	refusal := audit.Kind{Reason: t.Reason, Object: audit.Object{Namespace: key.Namespace}, Actor: l.user()}
	switch {
	case t.What == lifecycle.ImportRefused:
		message := fmt.Sprintf("APIKey %s/%s: spec.importedKeys has key %s", key.Namespace, key.Name, t.KeyID)
		if rivals := l.facts.Rivals[t.Message]; len(rivals) > 0 {
			message += fmt.Sprintf(", which APIKey %s/%s has, or one with the same ID", rivals[0].Namespace, rivals[0].Name)
		}
		l.Refusals.NoteLatest(refusal, message)
		return
	case t.What == lifecycle.ImportStopped && t.Reason == v1alpha1.ReasonImportForbidden:
		l.Refusals.NoteLatest(refusal, fmt.Sprintf("APIKey %s/%s lists keys in spec.importedKeys", key.Namespace, key.Name))
		return
	case t.What == lifecycle.Refused && t.KeyID == "":
		refusal.Actor = l.actor(t)
		l.Refusals.Note(refusal)
		return
	case line == "":
		return
	case t.What == lifecycle.Ended && t.Replaced:
		line = audit.Retired
	}
	l.Reconciler.record(ctx, key, audit.Event{
		Action: line, KeyID: t.KeyID, PreviousKeyID: t.PreviousKeyID, Reason: t.Reason, Message: t.Message,
		Actor: l.actor(t), Requests: t.Use.Requests,
	})
}

// record writes an audit line about an APIKey. That one is missing must not keep a key from
// being revoked, so it is logged and goes no further.
func (r *Reconciler) record(ctx context.Context, key *v1alpha1.APIKey, event audit.Event) {
	event.Object = audit.Object{Namespace: key.Namespace, Name: key.Name, UID: key.UID, Generation: key.Generation}
	event.Organization = key.Status.OrganizationID
	if err := r.Audit.Record(event); err != nil {
		log.FromContext(ctx).Error(err, "audit line lost", "action", event.Action, "keyID", event.KeyID)
	}
}

// actor says who wanted a transition: what the spec asks for, its last user did; what time,
// use or a Secret brought about, the manager did by itself.
func (l *look) actor(t *lifecycle.Transition) audit.Actor {
	key, organization := l.facts.Key, l.facts.Organization
	admission := t.What == lifecycle.Refused || t.What == lifecycle.Suspended || t.What == lifecycle.Resumed
	switch {
	case t.What == lifecycle.Ended && t.RevokedBy != nil:
		return audit.Actor{Kind: audit.ActorUser, Name: t.RevokedBy.Username, UID: t.RevokedBy.UID}
	case t.What == lifecycle.Ended && t.Reason == "":
		return audit.Deletion(key)
	case t.What == lifecycle.Expired:
		return audit.Manager(audit.CauseExpiry)
	case admission && (t.Reason == v1alpha1.ReasonSuspended || t.Reason == v1alpha1.ReasonExpired):
		return l.user()
	case admission && organization != nil && (t.Reason == v1alpha1.ReasonOrganizationSuspended || t.Reason == v1alpha1.ReasonBlocked):
		return audit.UserOf("Organization", organization)
	case admission && len(key.Status.Versions) == 0:
		// It has never worked: whoever asked for it is refused.
		return l.user()
	case admission, t.What == lifecycle.Widened && key.Generation == key.Status.AppliedGeneration:
		// The permission has changed, by a change of the Organization, whose last user is known,
		// or of the namespace's labels.
		actor := audit.Manager(audit.CausePermission)
		if organization != nil {
			actor.Of, actor.LastChangedBy = "Organization/"+organization.Name, audit.User(organization).Name
		}
		return actor
	}
	if cause, byManager := causes[t.Reason]; byManager {
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
