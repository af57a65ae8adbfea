// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/controllers/restart"
)

// There are no nodes here, so a rollout of one replica never comes to its end, and one
// of none does at once.
var _ = Describe("The restart of what takes a key at its start", func() {
	var (
		replica *authServer
		seen    *witness
		t       *tenant
	)
	BeforeEach(func(ctx SpecContext) {
		replica = startAuthServer(ctx, "restart-a")
		seen = newWitness()
		startManager(ctx, account(ctx, managerAccount), func(o *controllers.Options) { o.Usage = seen })
		t = newTenant(ctx)
	})
	// rotate has the key rotate, and its successor be used.
	rotate := func(ctx SpecContext, key *v1alpha1.APIKey) (old []byte) {
		GinkgoHelper()
		old, id := plaintextOf(ctx, key), key.Status.KeyID
		change(ctx, key, rotating)
		awaitReplaced(ctx, key, id)
		seen.sees(key.Status.KeyID)
		return old
	}
	restarting := func(policy v1alpha1.RestartPolicy, workloads ...v1alpha1.WorkloadReference) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) {
			k.Spec.Rotation.Restart = v1alpha1.Restart{Policy: policy, Workloads: workloads}
		}
	}
	const annotation = v1alpha1.AnnotationRestartPrefix + "restarting"
	awaitAnnotated := func(ctx SpecContext, obj client.Object, template *corev1.PodTemplateSpec, id string) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
			g.Expect(template.Annotations).To(HaveKeyWithValue(annotation, id))
		}).Should(Succeed())
	}
	rotated := func(ctx SpecContext, key *v1alpha1.APIKey) func() string {
		return func() string {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			if condition := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionRotated); condition != nil {
				return condition.Message
			}
			return ""
		}
	}

	It("comes once per rotation and undo, and the old key waits for its end", func(ctx SpecContext) {
		letRestart(ctx, t.namespace)
		web := deployment(t.namespace, "web", "restarting", 1)
		volume := deployment(t.namespace, "volume", "another", 1)
		Expect(admin.Create(ctx, web)).To(Succeed())
		Expect(admin.Create(ctx, volume)).To(Succeed())
		key := t.mint(ctx, "restarting", restarting(v1alpha1.RestartDetected), overlapping(0, 0, time.Hour))
		Consistently(func() map[string]string {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(web), web)).To(Succeed())
			return web.Spec.Template.Annotations
		}, time.Second).Should(BeEmpty(), "nothing was rotated yet")

		first := key.Status.KeyID
		old := rotate(ctx, key)
		second := key.Status.KeyID
		awaitAnnotated(ctx, web, &web.Spec.Template, second)
		Eventually(rotated(ctx, key)).Should(ContainSubstring("waiting for Deployment web: "))
		Consistently(func() int { return replica.status(old) }, 3*time.Second).Should(Equal(http.StatusOK))
		Expect(managers(web)).To(ContainElement("hexcovery-apikey-restart Update"))

		change(ctx, key, pinning(first))
		awaitReplaced(ctx, key, second)
		Expect(key.Status.KeyID).To(Equal(first))
		awaitAnnotated(ctx, web, &web.Spec.Template, first)
		seen.sees(first)

		change(ctx, web, func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](0) })
		awaitVersionsWithin(ctx, key, 30*time.Second, v1alpha1.VersionActive)
		Expect(replica.status(old)).To(Equal(http.StatusOK), "it was made the current one again")
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(web), web)).To(Succeed())
		Expect(web.Spec.Template.Annotations).To(Equal(map[string]string{annotation: first}))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(volume), volume)).To(Succeed())
		Expect(volume.Spec.Template.Annotations).To(BeEmpty())
		Eventually(eventNotes).WithArguments(ctx, key, v1alpha1.EventConsumersRestarted).Should(ContainElement(ContainSubstring("Deployment web")))
	})

	It("comes, too, after the key was lost", func(ctx SpecContext) {
		letRestart(ctx, t.namespace)
		web := deployment(t.namespace, "web", "restarting", 1)
		Expect(admin.Create(ctx, web)).To(Succeed())
		key := t.mint(ctx, "restarting", restarting(v1alpha1.RestartDetected))
		id := key.Status.KeyID
		Expect(admin.Delete(ctx, secretOf(ctx, key))).To(Succeed())
		awaitReplaced(ctx, key, id)
		awaitAnnotated(ctx, web, &web.Spec.Template, key.Status.KeyID)
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.EventConsumersRestarted))
	})

	It("comes to named workloads, and respects a pause", func(ctx SpecContext) {
		letRestart(ctx, t.namespace)
		paused := deployment(t.namespace, "paused", "another", 0)
		paused.Spec.Paused = true
		template := paused.Spec.Template.DeepCopy()
		db := &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: "db"},
			Spec:       appsv1.StatefulSetSpec{Replicas: ptr.To[int32](0), Selector: paused.Spec.Selector, Template: *template.DeepCopy()},
		}
		node := &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: "node"},
			Spec:       appsv1.DaemonSetSpec{Selector: paused.Spec.Selector, Template: *template.DeepCopy()},
		}
		for _, obj := range []client.Object{paused, db, node} {
			Expect(admin.Create(ctx, obj)).To(Succeed())
		}
		key := t.mint(ctx, "restarting", overlapping(0, 0, time.Hour), restarting(v1alpha1.RestartNamed,
			v1alpha1.WorkloadReference{Kind: "Deployment", Name: "paused"}, v1alpha1.WorkloadReference{Kind: "StatefulSet", Name: "db"},
			v1alpha1.WorkloadReference{Kind: "DaemonSet", Name: "node"}, v1alpha1.WorkloadReference{Kind: "Deployment", Name: "absent"}))
		old := rotate(ctx, key)
		awaitAnnotated(ctx, db, &db.Spec.Template, key.Status.KeyID)
		awaitAnnotated(ctx, node, &node.Spec.Template, key.Status.KeyID)
		Eventually(rotated(ctx, key)).Should(And(ContainSubstring("Deployment paused: it is paused"), ContainSubstring("There is no Deployment absent")))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(paused), paused)).To(Succeed())
		Expect(paused.Spec.Template.Annotations).To(BeEmpty())
		Expect(replica.status(old)).To(Equal(http.StatusOK))

		change(ctx, paused, func(d *appsv1.Deployment) { d.Spec.Paused = false })
		awaitVersionsWithin(ctx, key, 40*time.Second, v1alpha1.VersionActive)
		Expect(replica.status(old)).To(Equal(http.StatusUnauthorized))
		awaitAnnotated(ctx, paused, &paused.Spec.Template, key.Status.KeyID)
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.EventWorkloadNotFound))
	})

	It("needs a right that the manager does not have by itself, and keeps no key from its end without", func(ctx SpecContext) {
		web := deployment(t.namespace, "web", "restarting", 1)
		Expect(admin.Create(ctx, web)).To(Succeed())
		key := t.mint(ctx, "restarting", restarting(v1alpha1.RestartDetected), overlapping(0, 2*time.Second, time.Hour))
		old := rotate(ctx, key)
		Eventually(rotated(ctx, key)).Should(ContainSubstring("have an admin bind ClusterRole apikey-restarter in namespace " + t.namespace))
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(replica.status(old)).To(Equal(http.StatusUnauthorized))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(web), web)).To(Succeed())
		Expect(web.Spec.Template.Annotations).To(BeEmpty())
		Eventually(eventNotes).WithArguments(ctx, key, v1alpha1.EventRestartRefused).Should(ConsistOf(ContainSubstring("code 403")))
	})

	It("ends by the longest overlap, whatever a rollout waits for", func(ctx SpecContext) {
		letRestart(ctx, t.namespace)
		Expect(admin.Create(ctx, deployment(t.namespace, "web", "restarting", 1))).To(Succeed())
		key := t.mint(ctx, "restarting", restarting(v1alpha1.RestartDetected), overlapping(0, 0, 4*time.Second))
		old := rotate(ctx, key)
		Eventually(rotated(ctx, key)).Should(ContainSubstring("waiting for Deployment web: "))
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(replica.status(old)).To(Equal(http.StatusUnauthorized))
	})

	DescribeTable("is no drift to what applies manifests", func(ctx SpecContext, flags ...string) {
		letRestart(ctx, t.namespace)
		manifest := fmt.Sprintf(`{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": %q}, "spec": {"replicas": 0,
			"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}, "annotations": {"of": "git"}},
			"spec": {"containers": [{"name": "c", "image": "example.invalid/c", "envFrom": [{"secretRef": {"name": "restarting"}}]}]}}}}`, t.namespace)
		kubectl := func(verb string) string {
			GinkgoHelper()
			command := plane.Kubectl(ctx, append(append([]string{verb}, flags...), "-f", "-")...)
			command.Stdin = strings.NewReader(manifest)
			out, err := command.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			return string(out)
		}
		kubectl("apply")
		key := t.mint(ctx, "restarting", restarting(v1alpha1.RestartDetected), overlapping(0, 0, time.Hour))
		rotate(ctx, key)
		web := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: "web"}}
		awaitAnnotated(ctx, web, &web.Spec.Template, key.Status.KeyID)
		Expect(kubectl("diff")).To(BeEmpty())
		kubectl("apply")
		awaitAnnotated(ctx, web, &web.Spec.Template, key.Status.KeyID)
		Expect(web.Spec.Template.Annotations).To(HaveKeyWithValue("of", "git"))
	},
		Entry("on the server's side, as Flux", "--server-side", "--field-manager=kustomize-controller"),
		Entry("on their own side, as Argo CD"),
	)
})

// letRestart gives the manager the right to restart workloads of a namespace.
func letRestart(ctx context.Context, namespace string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: restart.RestarterRole},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: restart.RestarterRole},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: systemNamespace, Name: managerAccount}},
	})).To(Succeed())
	// It takes effect when the API server has learned of it.
	manager := clientOf(account(ctx, managerAccount))
	Eventually(func() error { return manager.List(ctx, &appsv1.DeploymentList{}, client.InNamespace(namespace)) }).Should(Succeed())
}

func deployment(namespace, name, secret string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "c", Image: "example.invalid/c",
				EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}},
			}}}},
		},
	}
}

func managers(obj client.Object) []string {
	var names []string
	for _, entry := range obj.GetManagedFields() {
		names = append(names, fmt.Sprintf("%s %s", entry.Manager, entry.Operation))
	}
	return names
}

// awaitVersionsWithin is awaitVersions for what is looked at every 10 seconds.
func awaitVersionsWithin(ctx context.Context, key *v1alpha1.APIKey, within time.Duration, states ...v1alpha1.VersionState) {
	GinkgoHelper()
	Eventually(func() []v1alpha1.VersionState {
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		var found []v1alpha1.VersionState
		for _, version := range key.Status.Versions {
			found = append(found, version.State)
		}
		return found
	}, within).Should(Equal(states))
}
