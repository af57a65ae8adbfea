// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/refusal"
	"github.com/hexcovery/apikey-operator/internal/workload"
)

const (
	// restartOwner is the name under which pod templates are annotated, so that tools
	// which ask who set a field find neither an editor nor a deployer of theirs.
	restartOwner = client.FieldOwner("hexcovery-apikey-restart")
	// restartNamed is how many workloads a message names.
	restartNamed = 5
)

// restart annotates the template of one workload, unless that was done, and finds out
// what its rollout waits for.
func (r *Reconciler) restart(ctx context.Context, consumer client.Object, found *findings) {
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
		by, refused := refusal.Of(err)
		switch {
		case apierrors.IsNotFound(err):
			return
		case refused:
			found.complainOfRights("restart "+name, by)
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
func (r *Reconciler) complain(key *v1alpha1.APIKey, found *findings) {
	for _, c := range found.complaints {
		if subject := c.reason + " " + c.subject; !found.record.complaints[subject] {
			found.record.complaints[subject] = true
			r.Events.Warning(key, c.reason, "Restart", "%s", c.message)
		}
	}
}

// findings are what one pass finds out about the restart of consumers.
type findings struct {
	apiKey *v1alpha1.APIKey
	record *record
	// restarted are the workloads that this pass has annotated.
	restarted []string
	// waits say what rollouts wait for.
	waits []string
	// complaints are about what cannot be restarted.
	complaints []complaint
}

type complaint struct{ reason, subject, message string }

func (f *findings) wait(name, what string) {
	f.waits = append(f.waits, name+": "+what)
}

// fail notes what is going to be tried again. It is logged, and not returned: the end of
// the key that was replaced, at overlap.max, must not wait for it.
func (f *findings) fail(ctx context.Context, name string, err error) {
	log.FromContext(ctx).Error(err, "restart of a consumer is tried again", "consumer", name, "namespace", f.apiKey.Namespace)
	f.wait(name, "the API server cannot be asked just now")
}

func (f *findings) complainOfAbsence(name string) {
	f.complaints = append(f.complaints, complaint{reason: v1alpha1.EventWorkloadNotFound, subject: name,
		message: fmt.Sprintf("There is no %s, which spec.rotation.restart.workloads names. Correct or remove it.", name)})
}

// complainOfRights says what the manager was not let do, and what helps.
func (f *findings) complainOfRights(what, by string) {
	f.complaints = append(f.complaints, complaint{reason: v1alpha1.EventRestartRefused, subject: what,
		message: fmt.Sprintf("The manager may not %s (%s). Restart it by hand, or have an admin bind ClusterRole %s in namespace %s, as docs/restarts.md shows.",
			what, by, RestarterRole, f.apiKey.Namespace)})
}

// rollout is how far the restarts have come. What cannot be restarted is not waited for:
// whether it still uses the old key is seen by its use.
func (f *findings) rollout() lifecycle.Rollout {
	var parts []string
	if len(f.waits) > 0 {
		parts = append(parts, "waiting for "+listed(f.waits))
	}
	var messages []string
	for _, c := range f.complaints {
		messages = append(messages, c.message)
	}
	if len(messages) > 0 {
		parts = append(parts, listed(messages))
	}
	return lifecycle.Rollout{Unfinished: len(f.waits) > 0, Message: strings.Join(parts, "; ")}
}

// listed names the first of names, and says how many more there are.
func listed(names []string) string {
	if more := len(names) - restartNamed; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(names[:restartNamed], "; "), more)
	}
	return strings.Join(slices.Clone(names), "; ")
}
