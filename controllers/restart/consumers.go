// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/pager"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/refusal"
	"github.com/hexcovery/apikey-operator/internal/workload"
)

const (
	// RestarterRole is the ClusterRole that lets the manager restart workloads. It is
	// bound to nobody unless an admin does it: who may change a pod template may run
	// anything in its place.
	RestarterRole = "apikey-restarter"
	// restartOwner is the name under which pod templates are annotated, so that tools
	// which ask who set a field find neither an editor nor a deployer of theirs.
	restartOwner = client.FieldOwner("hexcovery-apikey-restart")
	// consumersPage is how many workloads are held at once. A tenant may make each as large as
	// etcd takes, 1.5 MiB, and have many of them.
	consumersPage = 4
	// namedAtMost is how many workloads a message names.
	namedAtMost = 5
)

// kinds are those of workloads.
var kinds = []struct {
	name   string
	object client.Object
	list   client.ObjectList
}{
	{"Deployment", &appsv1.Deployment{}, &appsv1.DeploymentList{}},
	{"StatefulSet", &appsv1.StatefulSet{}, &appsv1.StatefulSetList{}},
	{"DaemonSet", &appsv1.DaemonSet{}, &appsv1.DaemonSetList{}},
}

// pass restarts the consumers of one APIKey's Secret, and finds out how far that has come.
type pass struct {
	*Reconciler
	record
	key *v1alpha1.APIKey
	// restarted are the workloads that were annotated, waits what rollouts wait for, and
	// complaints what cannot be restarted.
	restarted, waits, complaints []string
}

// restartNamed restarts the workloads that spec.rotation.restart names.
func (p *pass) restartNamed(ctx context.Context) {
	for _, reference := range p.key.Spec.Rotation.Restart.Workloads {
		for _, kind := range kinds {
			obj, ok := kind.object.DeepCopyObject().(client.Object)
			if !ok || kind.name != reference.Kind {
				continue
			}
			name := kind.name + " " + reference.Name
			switch err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.key.Namespace, Name: reference.Name}, obj); {
			case apierrors.IsNotFound(err):
				p.complain(v1alpha1.EventWorkloadNotFound, name,
					"There is no %s, which spec.rotation.restart.workloads names. Correct or remove it.", name)
			case err != nil:
				p.failed(ctx, "look at "+name, name, err)
			default:
				p.restart(ctx, obj, name)
			}
		}
	}
}

// restartDetected restarts the workloads that read the Secret only when they start. It holds
// two pages of them at a time.
func (p *pass) restartDetected(ctx context.Context) {
	for _, kind := range kinds {
		pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			page, _ := kind.list.DeepCopyObject().(client.ObjectList)
			return page, p.Live.List(ctx, page, &client.ListOptions{Namespace: p.key.Namespace, Limit: options.Limit, Continue: options.Continue})
		})
		// Without the whole list where a page has expired: it is begun anew at the next look.
		pages.PageSize, pages.PageBufferSize, pages.FullListIfExpired = consumersPage, 0, false
		err := pages.EachListItemWithAlloc(ctx, metav1.ListOptions{}, func(item runtime.Object) error {
			if obj, ok := item.(client.Object); ok && workload.TakesAtStart(workload.Template(obj), p.key.SecretName()) {
				p.restart(ctx, obj, kind.name+" "+obj.GetName())
			}
			return nil
		})
		if p.failed(ctx, "look for workloads that read the Secret only when they start", "what takes the Secret", err) {
			return
		}
	}
}

// restart annotates the template of one workload, unless that was done, and finds out
// what its rollout waits for.
func (p *pass) restart(ctx context.Context, consumer client.Object, name string) {
	annotation := v1alpha1.AnnotationRestartPrefix + p.key.Name
	done := workload.Template(consumer).Annotations[annotation] == p.keyID || p.patched.Has(name)
	switch {
	case !consumer.GetDeletionTimestamp().IsZero():
		return
	case !done && workload.Paused(consumer):
		// It would change with whatever a person is preparing there.
		p.wait(name, "it is paused, and is restarted when it is resumed")
		return
	case !done:
		// Conditional on the UID alone: whatever else changes at the same time does not concern
		// it. Of the three texts none needs to be quoted.
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
			`{"metadata":{"uid":%q},"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, consumer.GetUID(), annotation, p.keyID))
		if err := p.Patch(ctx, consumer, patch, restartOwner, client.DisableReadYourWritesConsistency); err != nil {
			if !apierrors.IsNotFound(err) {
				p.failed(ctx, "restart "+name, name, err)
			}
			return
		}
		p.patched.Insert(name)
		p.restarted = append(p.restarted, name)
	}
	if waits := workload.Unfinished(consumer); waits != "" {
		p.wait(name, waits)
	}
}

func (p *pass) wait(name, what string) {
	p.waits = append(p.waits, name+": "+what)
}

// failed notes what the manager was not let do, and what helps, or what is going to be tried
// again. The latter is logged, and not returned: the end of the key that was replaced, at
// overlap.max, must not wait for it.
func (p *pass) failed(ctx context.Context, what, name string, err error) (refused bool) {
	by, refused := refusal.Of(err)
	switch {
	case refused:
		p.complain(v1alpha1.EventRestartRefused, what,
			"The manager may not %s (%s). Restart it by hand, or have an admin bind ClusterRole %s in namespace %s, as docs/restarts.md shows.",
			what, by, RestarterRole, p.key.Namespace)
	case err != nil:
		log.FromContext(ctx).Error(err, "restart of a consumer is tried again", "consumer", name, "namespace", p.key.Namespace)
		p.wait(name, "the API server cannot be asked just now")
	}
	return refused
}

// complain notes what cannot be restarted, with an event where that is new.
func (p *pass) complain(reason, subject, format string, values ...any) {
	message := fmt.Sprintf(format, values...)
	p.complaints = append(p.complaints, message)
	if subject = reason + " " + subject; !p.told.Has(subject) {
		p.told.Insert(subject)
		p.Events.Warning(p.key, reason, "Restart", "%s", message)
	}
}

// seen is how far the restarts have come. What cannot be restarted is not waited for:
// whether it still uses the old key is seen by its use.
func (p *pass) seen() lifecycle.Rollout {
	var parts []string
	if len(p.waits) > 0 {
		parts = append(parts, "waiting for "+listed(p.waits))
	}
	if len(p.complaints) > 0 {
		parts = append(parts, listed(p.complaints))
	}
	return lifecycle.Rollout{Unfinished: len(p.waits) > 0, Message: strings.Join(parts, "; ")}
}

// listed names the first of names, and says how many more there are.
func listed(names []string) string {
	if more := len(names) - namedAtMost; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(names[:namedAtMost], "; "), more)
	}
	return strings.Join(names, "; ")
}
