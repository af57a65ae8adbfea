// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// restartWorld is an API server with workloads, and an APIKey that was rotated.
type restartWorld struct {
	*testing.T
	reconciler *Reconciler
	recorder   *events.FakeRecorder
	key        *v1alpha1.APIKey
	clock      *clocktesting.FakePassiveClock
	// patches counts those of each workload, reads all reads.
	patches map[string]int
	reads   int
	// limit is the size of the page that was asked for last.
	limit int64
	// refuse, where it gives an error, is the answer to a request.
	refuse func(verb string, obj any) error
}

func newRestartWorld(t *testing.T, restart v1alpha1.Restart, workloads ...client.Object) *restartWorld {
	t.Helper()
	w := &restartWorld{T: t, patches: map[string]int{}, refuse: func(string, any) error { return nil }}
	c := fake.NewClientBuilder().WithObjects(workloads...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
			if stored, ok := obj.(*v1alpha1.APIKey); ok {
				w.key.DeepCopyInto(stored)
				return nil
			}
			w.reads++
			if err := w.refuse("get", obj); err != nil {
				return err
			}
			return c.Get(ctx, key, obj, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			w.reads++
			w.limit = (&client.ListOptions{}).ApplyOptions(options).Limit
			if err := w.refuse("list", list); err != nil {
				return err
			}
			return c.List(ctx, list, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, options ...client.PatchOption) error {
			if err := w.refuse("patch", obj); err != nil {
				return err
			}
			applied := (&client.PatchOptions{}).ApplyOptions(options)
			if applied.FieldManager != "hexcovery-apikey-restart" {
				t.Errorf("patched as %q", applied.FieldManager)
			}
			kind, err := c.GroupVersionKindFor(obj)
			if err != nil {
				return err
			}
			w.patches[kind.Kind+" "+obj.GetName()]++
			if err := c.Patch(ctx, obj, patch, options...); err != nil {
				return err
			}
			// The fake API server does not count generations.
			obj.SetGeneration(obj.GetGeneration() + 1)
			return c.Update(ctx, obj)
		},
	}).Build()
	w.recorder = events.NewFakeRecorder(100)
	w.clock = clocktesting.NewFakePassiveClock(noon)
	w.reconciler = New(c, c, w.clock)
	w.reconciler.Events.Recorder = w.recorder
	w.key = &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "agent", UID: "uid", Generation: 3},
		Spec:       v1alpha1.APIKeySpec{Secret: v1alpha1.SecretTemplate{Name: "hexcovery"}, Rotation: v1alpha1.Rotation{Restart: restart}},
		Status:     v1alpha1.APIKeyStatus{UID: "uid", Acceptance: v1alpha1.AcceptanceAccepted},
	}
	w.rotate("aaaaaaaaaaaa")
	return w
}

// rotate has the APIKey have another current key.
func (w *restartWorld) rotate(id string) {
	w.key.Status.KeyID = id
	w.key.Status.Versions = []v1alpha1.KeyVersion{
		{ID: "000000000000", State: v1alpha1.VersionRetiring},
		{ID: id, State: v1alpha1.VersionActive, ActivationTime: ptr.To(metav1.NewTime(w.clock.Now()))},
	}
}

// look is one look, and how far the rollouts have come then.
func (w *restartWorld) look() (lifecycle.Rollout, time.Duration) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	go func() {
		for {
			select {
			case <-w.reconciler.changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	result, err := w.reconciler.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(w.key)})
	if err != nil {
		w.Fatal(err)
	}
	return w.reconciler.Rollout(w.key), result.RequeueAfter
}

// finish has the rollouts of all Deployments be finished.
func (w *restartWorld) finish() {
	w.Helper()
	list := &appsv1.DeploymentList{}
	if err := w.reconciler.List(w.Context(), list); err != nil {
		w.Fatal(err)
	}
	for i := range list.Items {
		rolledOut(&list.Items[i])
		if err := w.reconciler.Status().Update(w.Context(), &list.Items[i]); err != nil {
			w.Fatal(err)
		}
	}
}

func rolledOut(d *appsv1.Deployment) {
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}
}

func (w *restartWorld) events() []string {
	var said []string
	for len(w.recorder.Events) > 0 {
		said = append(said, <-w.recorder.Events)
	}
	return said
}

// web is the Deployment of that name as it is now.
func (w *restartWorld) web() *appsv1.Deployment {
	w.Helper()
	d := &appsv1.Deployment{}
	if err := w.reconciler.Get(w.Context(), client.ObjectKey{Namespace: "team", Name: "web"}, d); err != nil {
		w.Fatal(err)
	}
	return d
}

func taking(secret string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "c", EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}},
	}}}}
}

func testDeployment(name, secret string, change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, Generation: 1, UID: types.UID("uid-of-" + name)},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To[int32](1), Template: taking(secret)},
	}
	rolledOut(d)
	for _, f := range change {
		f(d)
	}
	return d
}

var (
	restartEnv  = v1alpha1.Restart{Policy: v1alpha1.RestartDetected}
	restartWeb  = v1alpha1.Restart{Policy: v1alpha1.RestartNamed, Workloads: []v1alpha1.WorkloadReference{{Kind: "Deployment", Name: "web"}}}
	webRestarts = v1alpha1.AnnotationRestartPrefix + "agent"
)

func TestRestartOfWhatTakesTheSecretAtItsStart(t *testing.T) {
	w := newRestartWorld(t, restartEnv,
		testDeployment("web", "hexcovery"),
		testDeployment("other", "another"),
		testDeployment("elsewhere", "hexcovery", func(d *appsv1.Deployment) { d.Namespace = "other" }),
		testDeployment("going", "hexcovery", func(d *appsv1.Deployment) {
			d.DeletionTimestamp, d.Finalizers = ptr.To(metav1.NewTime(noon)), []string{"x/y"}
		}),
		&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "db"}, Spec: appsv1.StatefulSetSpec{Template: taking("hexcovery")}},
		&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "node"}, Spec: appsv1.DaemonSetSpec{Template: taking("hexcovery")}},
	)
	found, again := w.look()
	if want := map[string]int{"Deployment web": 1, "StatefulSet db": 1, "DaemonSet node": 1}; fmt.Sprint(w.patches) != fmt.Sprint(want) {
		t.Errorf("patched %v, want %v", w.patches, want)
	}
	if got := w.web().Spec.Template.Annotations[webRestarts]; got != "aaaaaaaaaaaa" {
		t.Errorf("annotated with %q", got)
	}
	if !found.Unfinished || !strings.Contains(found.Message, "Deployment web: "+"its change has not been observed yet") || again != lookSoon {
		t.Errorf("found %+v, looks again after %v", found, again)
	}
	said := w.events()
	if len(said) != 1 || !strings.HasPrefix(said[0], "Normal ConsumersRestarted") || !strings.Contains(said[0], "Deployment web; StatefulSet db; DaemonSet node") {
		t.Errorf("said %q", said)
	}
}

func TestRestartsOfANamespaceGiveWay(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery"))
	for i := 0; !w.reconciler.courtesy.GivesWay(client.ObjectKey{Namespace: "team", Name: fmt.Sprint("busy-", i)}); i++ {
		if i > 1000 {
			t.Fatal("no end of its share")
		}
	}
	found, again := w.look()
	if !found.Unfinished || again != time.Millisecond || w.reads != 0 {
		t.Errorf("beyond the share of its namespace: found %+v, looks again after %v, with %d reads", found, again, w.reads)
	}
	if _, again := w.look(); again != lookSoon || w.patches["Deployment web"] != 1 {
		t.Errorf("in its turn: looks again after %v, patched %v", again, w.patches)
	}
}

func TestRestartReadsAFewWorkloadsAtATime(t *testing.T) {
	var workloads []client.Object
	for i := range 3 * consumersPage {
		workloads = append(workloads, testDeployment(fmt.Sprint("web-", i), "hexcovery"))
	}
	w := newRestartWorld(t, restartEnv, workloads...)
	w.look()
	if w.limit != consumersPage {
		t.Errorf("read in pages of %d", w.limit)
	}
}

func TestRestartComesOncePerRotationAndUndo(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery"))
	for i, id := range []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb", "aaaaaaaaaaaa"} {
		w.rotate(id)
		for range 3 {
			if found, _ := w.look(); !found.Unfinished {
				t.Fatal("finished before the rollout is")
			}
		}
		w.finish()
		if found, again := w.look(); found.Unfinished || found.Message != "" || again != 0 {
			t.Errorf("found %+v after the rollout, looks again after %v", found, again)
		}
		if w.patches["Deployment web"] != i+1 {
			t.Errorf("%d restarts after %d rotations", w.patches["Deployment web"], i+1)
		}
		w.reads = 0
		if found, _ := w.look(); found.Unfinished || w.reads != 0 {
			t.Errorf("%d reads after all was finished: %+v", w.reads, found)
		}
	}
}

func TestRestartIsNotRepeatedByAnotherProcess(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery", func(d *appsv1.Deployment) {
		d.Spec.Template.Annotations = map[string]string{webRestarts: "aaaaaaaaaaaa", v1alpha1.AnnotationRestartPrefix + "other": "cccccccccccc"}
	}))
	if found, _ := w.look(); found.Unfinished || len(w.patches) != 0 {
		t.Errorf("found %+v, patched %v", found, w.patches)
	}
}

func TestRestartLeavesTheMarksOfOthers(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery", func(d *appsv1.Deployment) {
		d.Spec.Template.Annotations = map[string]string{v1alpha1.AnnotationRestartPrefix + "other": "cccccccccccc", "x": "y"}
	}))
	w.look()
	got := w.web().Spec.Template.Annotations
	if len(got) != 3 || got["x"] != "y" || got[v1alpha1.AnnotationRestartPrefix+"other"] != "cccccccccccc" {
		t.Errorf("annotations are %v", got)
	}
}

func TestRestartDoesNotFightWithWhatTakesTheAnnotationAway(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery"))
	w.look()
	d := w.web()
	d.Spec.Template.Annotations = nil
	d.Generation++
	if err := w.reconciler.Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if found, _ := w.look(); !found.Unfinished || w.patches["Deployment web"] != 1 {
		t.Errorf("found %+v, patched %v", found, w.patches)
	}
	w.finish()
	if found, _ := w.look(); found.Unfinished || w.patches["Deployment web"] != 1 {
		t.Errorf("found %+v, patched %v", found, w.patches)
	}
}

func TestRestartRespectsAPause(t *testing.T) {
	w := newRestartWorld(t, restartWeb, testDeployment("web", "any", func(d *appsv1.Deployment) { d.Spec.Paused = true }))
	found, again := w.look()
	if !found.Unfinished || len(w.patches) != 0 || !strings.Contains(found.Message, "Deployment web: it is paused") || again != lookSoon {
		t.Errorf("found %+v, patched %v, looks again after %v", found, w.patches, again)
	}
	w.clock.SetTime(noon.Add(soon + time.Second))
	if _, again := w.look(); again != lookLater {
		t.Errorf("looks again after %v", again)
	}
	d := w.web()
	d.Spec.Paused = false
	if err := w.reconciler.Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if found, _ := w.look(); !found.Unfinished || w.patches["Deployment web"] != 1 {
		t.Errorf("found %+v, patched %v", found, w.patches)
	}
}

func TestRestartOfNamedWorkloads(t *testing.T) {
	restart := restartWeb
	restart.Workloads = append(slices.Clone(restart.Workloads),
		v1alpha1.WorkloadReference{Kind: "StatefulSet", Name: "absent"}, v1alpha1.WorkloadReference{Kind: "DaemonSet", Name: "absent"})
	w := newRestartWorld(t, restart, testDeployment("web", "any"), testDeployment("other", "hexcovery"))
	w.look()
	w.finish()
	found, again := w.look()
	if found.Unfinished || !strings.Contains(found.Message, "There is no StatefulSet absent") || !strings.Contains(found.Message, "There is no DaemonSet absent") || again == 0 {
		t.Errorf("found %+v, looks again after %v", found, again)
	}
	if fmt.Sprint(w.patches) != "map[Deployment web:1]" {
		t.Errorf("patched %v", w.patches)
	}
	said := strings.Join(w.events(), "\n")
	if strings.Count(said, "Warning WorkloadNotFound") != 2 || strings.Count(said, "ConsumersRestarted") != 1 {
		t.Errorf("said %s", said)
	}
	// Once it is there it is restarted, although the rest was done.
	created := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "absent"}}
	if err := w.reconciler.Create(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	if found, _ := w.look(); !found.Unfinished || w.patches["StatefulSet absent"] != 1 {
		t.Errorf("found %+v, patched %v", found, w.patches)
	}
}

func TestRestartOfAWorkloadThatIsNamedLater(t *testing.T) {
	w := newRestartWorld(t, restartWeb, testDeployment("web", "any"), testDeployment("later", "any"))
	w.look()
	w.finish()
	if found, _ := w.look(); found.Unfinished {
		t.Fatalf("found %+v", found)
	}
	w.key.Spec.Rotation.Restart.Workloads = append(slices.Clone(restartWeb.Workloads), v1alpha1.WorkloadReference{Kind: "Deployment", Name: "later"})
	w.key.Generation++
	if found, _ := w.look(); !found.Unfinished || fmt.Sprint(w.patches) != "map[Deployment later:1 Deployment web:1]" {
		t.Errorf("found %+v, patched %v", found, w.patches)
	}
}

func forbidden(verb string) error {
	return apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "web", fmt.Errorf("cannot %s", verb))
}

// Without the right nothing can be restarted, so nothing is waited for; whether the
// old key is still in use decides.
func TestRestartWithoutTheRight(t *testing.T) {
	for _, verb := range []string{"get", "list", "patch"} {
		t.Run(verb, func(t *testing.T) {
			restart := restartEnv
			if verb == "get" {
				restart = restartWeb
			}
			w := newRestartWorld(t, restart, testDeployment("web", "hexcovery"))
			w.refuse = func(asked string, _ any) error {
				if asked == verb {
					return forbidden(verb)
				}
				return nil
			}
			for range 2 {
				found, again := w.look()
				if found.Unfinished || again == 0 || len(w.patches) != 0 {
					t.Errorf("found %+v, patched %v, looks again after %v", found, w.patches, again)
				}
				for _, part := range []string{"The manager may not", "code 403", "ClusterRole apikey-restarter", "namespace team"} {
					if !strings.Contains(found.Message, part) {
						t.Errorf("%q does not say %q", found.Message, part)
					}
				}
			}
			if said := w.events(); len(said) != 1 || !strings.HasPrefix(said[0], "Warning RestartRefused") {
				t.Errorf("said %q", said)
			}
			w.refuse = func(string, any) error { return nil }
			if found, _ := w.look(); !found.Unfinished || w.patches["Deployment web"] != 1 {
				t.Errorf("found %+v once it has the right, patched %v", found, w.patches)
			}
		})
	}
}

// An outage at one workload keeps no other from being restarted, and is tried again.
func TestRestartGoesOnAfterAnError(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("api", "hexcovery"), testDeployment("web", "hexcovery"))
	w.refuse = func(verb string, obj any) error {
		if d, ok := obj.(*appsv1.Deployment); ok && verb == "patch" && d.Name == "api" {
			return errors.New("outage")
		}
		return nil
	}
	found, again := w.look()
	if !found.Unfinished || w.patches["Deployment web"] != 1 || again != lookSoon || !strings.Contains(found.Message, "Deployment api: the API server cannot be asked") {
		t.Errorf("found %+v, patched %v, looks again after %v", found, w.patches, again)
	}
	w.refuse = func(string, any) error { return nil }
	w.look()
	if fmt.Sprint(w.patches) != "map[Deployment api:1 Deployment web:1]" {
		t.Errorf("patched %v", w.patches)
	}
}

func TestRestartOfNothing(t *testing.T) {
	for name, restart := range map[string]v1alpha1.Restart{"by default": {}, "None": {Policy: v1alpha1.RestartNone}} {
		t.Run(name, func(t *testing.T) {
			w := newRestartWorld(t, restart, testDeployment("web", "hexcovery"))
			if found, again := w.look(); found.Unfinished || found.Message != "" || again != 0 || w.reads != 0 {
				t.Errorf("found %+v, looks again after %v, %d reads", found, again, w.reads)
			}
		})
	}
}

// While the two keys change places, a pod that starts may take either.
func TestRestartWaitsForTheSecret(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery"))
	w.key.Status.KeyID = "000000000000"
	if found, _ := w.look(); !found.Unfinished || w.reads != 0 {
		t.Errorf("found %+v, %d reads", found, w.reads)
	}
	w.key.Status.KeyID = "aaaaaaaaaaaa"
	if found, _ := w.look(); !found.Unfinished || w.patches["Deployment web"] != 1 {
		t.Errorf("found %+v, patched %v", found, w.patches)
	}
}

// What took the key that was lost has a dead one, and no earlier key is retiring.
func TestRestartAfterALoss(t *testing.T) {
	for reason, restarts := range map[v1alpha1.MintReason]int{v1alpha1.MintDrifted: 1, v1alpha1.MintRestored: 1, v1alpha1.MintRequested: 0, v1alpha1.MintRevoked: 1, v1alpha1.MintRotateAfter: 0, "": 0} {
		t.Run(string(reason), func(t *testing.T) {
			w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery"))
			w.key.Status.Versions = w.key.Status.Versions[1:]
			w.key.Status.Versions[0].MintReason = reason
			if found, _ := w.look(); found.Unfinished != (restarts != 0) || w.patches["Deployment web"] != restarts {
				t.Errorf("found %+v, patched %v", found, w.patches)
			}
			w.clock.SetTime(noon.Add(afterLoss))
			if found, again := w.look(); found.Unfinished || again != 0 {
				t.Errorf("an hour later: found %+v, looks again after %v", found, again)
			}
		})
	}
}

func TestRestartIsForNoKeyThatWorksAlone(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery"))
	w.look()
	w.key.Status.Versions = w.key.Status.Versions[1:]
	w.reads = 0
	if found, again := w.look(); found.Unfinished || w.reads != 0 || again != 0 {
		t.Errorf("found %+v, %d reads, looks again after %v", found, w.reads, again)
	}
	if _, ok := w.reconciler.records.Load(w.key.UID); ok {
		t.Error("something of it is remembered")
	}
}

// An outage must not keep a key from its end.
func TestRestartThatCannotBeJudgedIsNotFinished(t *testing.T) {
	for _, verb := range []string{"get", "list"} {
		restart := restartEnv
		if verb == "get" {
			restart = restartWeb
		}
		w := newRestartWorld(t, restart, testDeployment("web", "hexcovery"))
		w.refuse = func(string, any) error { return errors.New("outage") }
		if found, again := w.look(); !found.Unfinished || again != lookSoon {
			t.Errorf("%s: found %+v, looks again after %v", verb, found, again)
		}
	}
}

func TestRestartIsForgottenWithItsAPIKey(t *testing.T) {
	w := newRestartWorld(t, restartEnv, testDeployment("web", "hexcovery"))
	w.look()
	w.reconciler.gone(t.Context(), event.DeleteEvent{Object: w.key}, nil)
	if _, ok := w.reconciler.records.Load(w.key.UID); ok {
		t.Error("something of it is remembered")
	}
}
