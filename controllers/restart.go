// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/workload"
)

const (
	// restartOwner is the name under which pod templates are annotated, so that tools
	// which ask who set a field find neither an editor nor a deployer of theirs.
	restartOwner = client.FieldOwner("hexcovery-apikey-restart")
	// restartLook is how often a rollout is looked at in its first minutes, and
	// restartLookLater from then on. No watch tells of it: a cache of all workloads
	// would be far more than the few looks that a rotation costs.
	restartLook, restartLookLater = 10 * time.Second, time.Minute
	// restartSoon is how long those first minutes are.
	restartSoon = 10 * time.Minute
	// restartAfterLoss is how long after a key that was lost its consumers are restarted,
	// for instance because the right to do so was given by then.
	restartAfterLoss = time.Hour
	// restartRetry is when a look is tried again for which another APIKey's left no room.
	restartRetry = time.Second
	// restartNamed is how many workloads a message names.
	restartNamed = 5
)

// rollout is how far the restart of an APIKey's consumers has come.
type rollout struct {
	// finished: no pod is waited for. What cannot be restarted is not waited for:
	// whether it still uses the old key is seen by its use.
	finished bool
	// message is for people: what is waited for, or could not be restarted; "" if all
	// went well.
	message string
}

// detail is what follows the reason why a key still works.
func (r rollout) detail() string {
	if r.message == "" {
		return ""
	}
	return "; " + r.message
}

// restartRecord is what this process has done after one rotation. It has what the API
// server cannot tell: that a workload was annotated although the annotation is gone.
// A pass is the only one over its APIKey, so nobody else has it at hand.
type restartRecord struct {
	// keyID is the current key's: another one begins anew.
	keyID string
	// patched are the workloads that were annotated. None is annotated twice: a tool
	// that takes the annotation away has restarted the pods by that, and the two would
	// go on restarting them in turns.
	patched map[string]bool
	// complaints are those that there were events for.
	complaints map[string]bool
	// finished is the generation of the APIKey whose restarts came to their end: what
	// starts later has the new key.
	finished int64
	// message is that of the last look. It stands until the next one: a condition that
	// comes and goes with the turns of looks would be a write each time.
	message string
}

// restartConsumers restarts, once, what takes the Secret only when it starts, and
// says how far that has come. It is for an APIKey whose key was replaced: while the
// earlier one is retiring, or soon after it was lost.
func (r *APIKeyReconciler) restartConsumers(ctx context.Context, p *pass) rollout {
	restart, version := p.key.Spec.Rotation.Restart, p.active()
	switch {
	case restart.Policy == "" || restart.Policy == v1alpha1.RestartNone:
		return rollout{finished: true}
	case p.holds != version.ID:
		// A rotation was undone a moment ago: what starts now would take the key that is
		// on its way out.
		return rollout{}
	}
	record := r.restartRecord(p.key.UID, version.ID)
	if record.finished == p.key.Generation {
		return rollout{finished: true}
	}
	if !r.looks.take(p.key.Namespace, p.now) {
		p.lookAgain(restartRetry)
		return rollout{message: record.message}
	}
	defer r.looks.release()
	found := &restartFindings{apiKey: p.key, record: record}
	r.eachConsumer(ctx, found, func(consumer client.Object) { r.restart(ctx, consumer, found) })
	if len(found.restarted) > 0 {
		r.Events.restarted(p.key, record.keyID, found.restarted)
	}
	r.complain(p.key, found)
	if len(found.waits)+len(found.complaints) == 0 {
		record.finished = p.key.Generation
		return rollout{finished: true}
	}
	p.lookAgain(restartInterval(p, version))
	seen := found.rollout()
	record.message = seen.message
	return seen
}

func (r *APIKeyReconciler) restartRecord(uid types.UID, keyID string) *restartRecord {
	if known, ok := r.restarts.Load(uid); ok && known.(*restartRecord).keyID == keyID {
		return known.(*restartRecord)
	}
	record := &restartRecord{keyID: keyID, patched: map[string]bool{}, complaints: map[string]bool{}}
	r.restarts.Store(uid, record)
	return record
}

// restartInterval is when a rollout is looked at again.
func restartInterval(p *pass, version *v1alpha1.KeyVersion) time.Duration {
	if version.ActivationTime != nil && p.now.Sub(version.ActivationTime.Time) > restartSoon {
		return restartLookLater
	}
	return restartLook
}

// restart annotates the template of one workload, unless that was done, and finds out
// what its rollout waits for.
func (r *APIKeyReconciler) restart(ctx context.Context, consumer client.Object, found *restartFindings) {
	name := nameOf(consumer)
	annotation := v1alpha1.AnnotationRestartPrefix + found.apiKey.Name
	done := workload.Template(consumer).Annotations[annotation] == found.record.keyID || found.record.patched[name]
	switch {
	case !done && workload.Paused(consumer):
		// It would change with whatever a person is preparing there.
		found.wait(name, "it is paused, and is restarted when it is resumed")
		return
	case !done:
		patch := restartPatch(consumer.GetUID(), annotation, found.record.keyID)
		err := r.Patch(ctx, consumer, patch, restartOwner, client.DisableReadYourWritesConsistency)
		switch {
		case apierrors.IsNotFound(err):
			return
		case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
			found.complainOfRights("restart "+name, err)
			return
		case err != nil:
			found.fail(ctx, name, err)
			return
		}
		found.record.patched[name] = true
		found.restarted = append(found.restarted, name)
	}
	if waits := workload.Unfinished(consumer); waits != "" {
		found.wait(name, waits)
	}
}

// restartPatch is conditional on the UID alone: whatever else changes at the same time
// does not concern it. Of the three texts none needs to be quoted.
func restartPatch(uid types.UID, annotation, value string) client.Patch {
	return client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
		`{"metadata":{"uid":%q},"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, uid, annotation, value))
}

// complain has an event for each complaint that is new.
func (r *APIKeyReconciler) complain(key *v1alpha1.APIKey, found *restartFindings) {
	for _, c := range found.complaints {
		if subject := c.reason + " " + c.subject; !found.record.complaints[subject] {
			found.record.complaints[subject] = true
			r.Events.notRestarted(key, c.reason, c.message)
		}
	}
}

// restartFindings are what one pass finds out about the restart of consumers.
type restartFindings struct {
	apiKey *v1alpha1.APIKey
	record *restartRecord
	// restarted are the workloads that this pass has annotated.
	restarted []string
	// waits say what rollouts wait for.
	waits []string
	// complaints are about what cannot be restarted.
	complaints []complaint
}

type complaint struct{ reason, subject, message string }

func (f *restartFindings) wait(name, what string) {
	f.waits = append(f.waits, name+": "+what)
}

// fail notes what is going to be tried again. It is logged, and not returned: the end of
// the key that was replaced, at overlap.max, must not wait for it.
func (f *restartFindings) fail(ctx context.Context, name string, err error) {
	log.FromContext(ctx).Error(err, "restart of a consumer is tried again", "consumer", name, "namespace", f.apiKey.Namespace)
	f.wait(name, "the API server cannot be asked just now")
}

func (f *restartFindings) complainOfAbsence(name string) {
	f.complaints = append(f.complaints, complaint{reason: v1alpha1.EventWorkloadNotFound, subject: name,
		message: fmt.Sprintf("there is no %s, which spec.rotation.restart.workloads names: correct or remove it", name)})
}

// complainOfRights says what the manager was not let do, and what helps.
func (f *restartFindings) complainOfRights(what string, err error) {
	f.complaints = append(f.complaints, complaint{reason: v1alpha1.EventRestartRefused, subject: what,
		message: fmt.Sprintf("the API server does not let the manager %s (%v): restart it by hand, or have an admin bind ClusterRole %s to the manager in namespace %s, as docs/restarts.md shows",
			what, err, RestarterRole, f.apiKey.Namespace)})
}

func (f *restartFindings) rollout() rollout {
	var parts []string
	if len(f.waits) > 0 {
		parts = append(parts, "waiting for the restart of "+listed(f.waits))
	}
	var messages []string
	for _, c := range f.complaints {
		messages = append(messages, c.message)
	}
	if len(messages) > 0 {
		parts = append(parts, listed(messages))
	}
	return rollout{finished: len(f.waits) == 0, message: strings.Join(parts, "; ")}
}

// listed names the first of names, and says how many more there are.
func listed(names []string) string {
	if more := len(names) - restartNamed; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(names[:restartNamed], "; "), more)
	}
	return strings.Join(slices.Clone(names), "; ")
}
