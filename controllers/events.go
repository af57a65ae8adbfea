// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/plain"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// eventWriter writes the events of APIKeys. Their reasons are those of
// conditions, or stand beside them in api/v1alpha1.
type eventWriter struct{ recorder events.EventRecorder }

func (w eventWriter) minted(key *v1alpha1.APIKey) {
	w.eventf(key, corev1.EventTypeNormal, v1alpha1.EventMinted, "Publish",
		"key %s is in Secret %s", key.Status.KeyID, key.SecretName())
}

func (w eventWriter) drifted(key *v1alpha1.APIKey, previous string) {
	w.eventf(key, corev1.EventTypeWarning, v1alpha1.EventSecretDrifted, "Register",
		"Secret %s was deleted or edited by hand: key %s is being revoked, and another is minted", key.SecretName(), previous)
}

func (w eventWriter) backsOff(key *v1alpha1.APIKey, message string) {
	w.eventf(key, corev1.EventTypeWarning, v1alpha1.ReasonDriftBackOff, "Register", "%s", message)
}

func (w eventWriter) repaired(key *v1alpha1.APIKey) {
	w.eventf(key, corev1.EventTypeWarning, v1alpha1.EventSecretRepaired, "Publish",
		"Secret %s was edited by hand, but not its api-key. It is put right, and the key stays.", key.SecretName())
}

// duplicate names the older APIKey only to those who share its namespace: others need not
// learn that it exists.
func (w eventWriter) duplicate(key *v1alpha1.APIKey, id string, older *types.NamespacedName) {
	whose := "another APIKey, which is older"
	if older.Namespace == key.Namespace {
		whose = "the older APIKey " + older.Name
	}
	w.eventf(key, corev1.EventTypeWarning, v1alpha1.EventDuplicateDigest, "Register",
		"key %s belongs to %s: it is dropped here, and another is minted", id, whose)
}

func (w eventWriter) rotated(key *v1alpha1.APIKey, previous string) {
	w.eventf(key, corev1.EventTypeNormal, v1alpha1.EventRotated, "Rotate",
		"key %s is in Secret %s in place of %s, which works until nothing uses it", key.Status.KeyID, key.SecretName(), previous)
}

func (w eventWriter) undone(key *v1alpha1.APIKey, from, to string) {
	w.eventf(key, corev1.EventTypeNormal, v1alpha1.EventRotationUndone, "Rotate",
		"key %s is the current one again, and %s works until nothing uses it", to, from)
}

func (w eventWriter) retiredInUse(key *v1alpha1.APIKey, id string, use usage.Use) {
	from := "no auth server has told from where"
	if len(use.Sources) > 0 {
		from = "since it was replaced it was " + usedFrom(use.Sources)
	}
	w.eventf(key, corev1.EventTypeWarning, v1alpha1.EventRetiredInUse, "Retire",
		"key %s is revoked at spec.rotation.overlap.max and may still be in use; %s", id, from)
}

func (w eventWriter) importRefused(key *v1alpha1.APIKey, reason, message string) {
	w.eventf(key, corev1.EventTypeWarning, reason, "Import", "%s", message)
}

// importContested is for whoever has a hash that another APIKey lists, which it does not
// name: it may be in a namespace that is none of the holder's business.
func (w eventWriter) importContested(holder *v1alpha1.APIKey, id string) {
	w.eventf(holder, corev1.EventTypeWarning, v1alpha1.EventImportContested, "Import",
		"Another APIKey lists key %s in spec.importedKeys, and is refused. If the key is not yours, take it out of spec.importedKeys. A platform admin can decide with the Organization's spec.blocked.", id)
}

func (w eventWriter) refused(object client.Object, condition *metav1.Condition) {
	w.eventf(object, corev1.EventTypeWarning, condition.Reason, "Permit", "%s", condition.Message)
}

// notWritten does not quote err, which may quote the object.
func (w eventWriter) notWritten(object client.Object, err error) {
	w.eventf(object, corev1.EventTypeWarning, v1alpha1.EventNotWritten, "Write",
		"the API server has refused for %s to store what the manager writes of this object (%s, code %d): make it smaller, and look at admission policies",
		unwrittenPatience, apierrors.ReasonForError(err), statusCode(err))
}

func (w eventWriter) restored(key *v1alpha1.APIKey, what, id string) {
	w.eventf(key, corev1.EventTypeNormal, v1alpha1.EventRestoredMintedAnew, "Register",
		"%s: no key of it is accepted, and key %s is minted", what, id)
}

func (w eventWriter) expiringSoon(key *v1alpha1.APIKey, message string) {
	w.eventf(key, corev1.EventTypeWarning, v1alpha1.EventExpiringSoon, "Permit", "%s", message)
}

func (w eventWriter) restarted(key *v1alpha1.APIKey, id string, workloads []string) {
	w.eventf(key, corev1.EventTypeNormal, v1alpha1.EventConsumersRestarted, "Restart",
		"restarting what takes Secret %s only when it starts, for key %s: %s", key.SecretName(), id, listed(workloads))
}

func (w eventWriter) notRestarted(key *v1alpha1.APIKey, reason, message string) {
	w.eventf(key, corev1.EventTypeWarning, reason, "Restart", "%s", message)
}

// namedSources is how many sources of requests an event names: with IPv6 addresses each
// takes some 65 of the bytes that an event may have.
const namedSources = 8

// usedFrom says for how many requests a key was used, and where the most came from.
func usedFrom(sources []usage.Source) string {
	var requests, unnamed int64
	var places []string
	for _, source := range sources {
		requests += source.Requests
		if source.Gateway == "" || len(places) == namedSources {
			unnamed += source.Requests
			continue
		}
		places = append(places, fmt.Sprintf("%d by %s from %s", source.Requests, source.Endpoint, source.Gateway))
	}
	if unnamed > 0 {
		places = append(places, fmt.Sprintf("%d from elsewhere", unnamed))
	}
	return fmt.Sprintf("used for %d requests: %s", requests, strings.Join(places, ", "))
}

// maxNote is the most that the API server takes of an event's note, in bytes
// (k8s.io/kubernetes/pkg/apis/core/validation, NoteLengthLimit).
const maxNote = 1024

// eventf writes an event, cut to what the API server takes: messages quote others.
func (w eventWriter) eventf(object client.Object, eventType, reason, action, format string, values ...any) {
	note := plain.Text(fmt.Sprintf(format, values...))
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	w.recorder.Eventf(object, nil, eventType, reason, action, "%s", note)
}

// record writes an audit line. Its actor is that of actorOf, unless the event has
// one. That a line is missing must not keep a key from being revoked, so it is logged
// and goes no further.
func (r *APIKeyReconciler) record(ctx context.Context, p *pass, event audit.Event) {
	event.Object = audit.Object{Namespace: p.key.Namespace, Name: p.key.Name, UID: p.key.UID, Generation: p.key.Generation}
	event.Organization = p.key.Status.OrganizationID
	if event.Actor.Kind == "" {
		event.Actor = actorOf(p, event.Action)
	}
	if err := r.Audit.Record(event); err != nil {
		log.FromContext(ctx).Error(err, "audit line lost", "action", event.Action, "keyID", event.KeyID)
	}
}

// recordEscape writes an audit line about an APIKey that went although this manager
// has not let it go: somebody took the finalizer off. Auth servers refuse its keys
// when they see it gone, and nobody waited until they did.
func (r *APIKeyReconciler) recordEscape(ctx context.Context, key *v1alpha1.APIKey) {
	if _, released := r.releasing.Load(key.UID); released || len(key.Status.Versions) == 0 {
		return
	}
	r.record(ctx, &pass{key: key}, audit.Event{
		Action: audit.Revoked, KeyID: key.Status.KeyID, Reason: v1alpha1.ReasonFinalizerRemoved,
		Message: "the finalizer was taken off, so nobody waited for the auth servers to drop the keys",
	})
}

// tell announces what a status write has changed: that a key stopped working
// although nobody deleted it, and that it works again.
func (r *APIKeyReconciler) tell(ctx context.Context, p *pass) {
	before := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionReady)
	after := meta.FindStatusCondition(p.key.Status.Conditions, v1alpha1.ConditionReady)
	if after == nil || before != nil && before.Reason == after.Reason {
		return
	}
	event := audit.Event{KeyID: p.key.Status.KeyID, Reason: after.Reason, Message: after.Message}
	switch {
	case !p.permission.ok && p.permission.reason != "":
		event.Action = audit.Refused
		if after.Reason == v1alpha1.ReasonInvalidObject {
			log.FromContext(ctx).Info("object refused", "refusal", after.Message)
		}
		stops := after.Reason == v1alpha1.ReasonOrganizationSuspended || after.Reason == v1alpha1.ReasonBlocked
		if stops && event.KeyID != "" {
			event.Action = audit.Suspended
		}
		r.Events.refused(p.key, after)
	case after.Reason == v1alpha1.ReasonSuspended:
		event.Action = audit.Suspended
	case after.Reason == v1alpha1.ReasonExpired:
		event.Action = audit.Expired
	case after.Reason == v1alpha1.ReasonResuming && before != nil:
		r.resuming.Store(p.key.UID, before.Reason)
		return
	case after.Reason == v1alpha1.ReasonReady && before != nil && stopped(before.Reason):
		event.Action = audit.Resumed
		event.Actor = actorOfResumption(p, r.stoppedFor(p, before.Reason))
	default:
		return
	}
	if event.Action != audit.Resumed {
		event.Actor = actorOfStop(p, after.Reason)
	}
	if event.Action == audit.Refused && event.KeyID == "" && r.Refusals != nil {
		// Nothing that worked has stopped: whoever may create APIKeys can have as many
		// refused as they like.
		r.Refusals.Note(audit.Kind{Reason: event.Reason, Object: audit.Object{Namespace: p.key.Namespace}, Actor: event.Actor})
		return
	}
	r.record(ctx, p, event)
}

// stoppedFor is why a key that works again had stopped: before it resumed, if reason
// is no more than that.
func (r *APIKeyReconciler) stoppedFor(p *pass, reason string) string {
	if first, ok := r.resuming.LoadAndDelete(p.key.UID); ok && reason == v1alpha1.ReasonResuming {
		return first.(string)
	}
	return reason
}

// stopped reports whether a key that is Ready=False for this reason is one that
// was working before, as far as a reason can say.
func stopped(reason string) bool {
	switch reason {
	case v1alpha1.ReasonSuspended, v1alpha1.ReasonExpired, v1alpha1.ReasonResuming, v1alpha1.ReasonOrganizationNotFound,
		v1alpha1.ReasonOrganizationSuspended, v1alpha1.ReasonOrganizationChanged, v1alpha1.ReasonBlocked,
		v1alpha1.ReasonNamespaceNotPermitted, v1alpha1.ReasonScopeNotPermitted, v1alpha1.ReasonInvalidSelector,
		v1alpha1.ReasonInvalidObject, v1alpha1.ReasonInvalidOrganization:
		return true
	}
	return false
}
