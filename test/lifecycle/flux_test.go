// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
)

const (
	// kustomizeController is the field manager of Flux.
	kustomizeController = "kustomize-controller"
	// graceOfRefusals is how long it takes until what may come by itself is Stalled
	// (docs/conditions.md).
	graceOfRefusals = time.Minute
)

// fluxSet is in the order in which Flux applies it: namespaces first, and then by kind. %[1]s
// is the name of the tenant.
const fluxSet = `
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: auth.hexcovery.io/v1alpha1
kind: APIKey
metadata: {name: ordinary, namespace: %[1]s}
spec: {organizationRef: {name: %[1]s}}
---
apiVersion: auth.hexcovery.io/v1alpha1
kind: APIKey
metadata: {name: suspended, namespace: %[1]s}
spec: {organizationRef: {name: %[1]s}, suspend: true}
---
apiVersion: auth.hexcovery.io/v1alpha1
kind: APIKey
metadata: {name: expired, namespace: %[1]s}
spec: {organizationRef: {name: %[1]s}, expirationTime: "2026-01-01T00:00:00Z"}
---
apiVersion: auth.hexcovery.io/v1alpha1
kind: APIKey
metadata: {name: of-a-suspended-organization, namespace: %[1]s}
spec: {organizationRef: {name: %[1]s-suspended}}
---
apiVersion: auth.hexcovery.io/v1alpha1
kind: APIKey
metadata: {name: early, namespace: %[1]s}
spec: {organizationRef: {name: %[1]s-late}}
---
apiVersion: auth.hexcovery.io/v1alpha1
kind: Organization
metadata: {name: %[1]s}
spec: {namespaces: {selector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}}
---
apiVersion: auth.hexcovery.io/v1alpha1
kind: Organization
metadata: {name: %[1]s-suspended}
spec: {namespaces: {selector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}, suspend: true}
`

const lateOrganization = `
apiVersion: auth.hexcovery.io/v1alpha1
kind: Organization
metadata: {name: %[1]s-late}
spec: {namespaces: {selector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}}
`

const refusedForGood = `
apiVersion: auth.hexcovery.io/v1alpha1
kind: APIKey
metadata: {name: refused, namespace: %[1]s}
spec: {organizationRef: {name: %[1]s}, scopes: [query], description: %[2]q}
`

// Flux's kustomize-controller applies a set on the server's side and, with wait: true, calls
// kstatus until all of it is Current. It gives up as soon as something is Failed.
var _ = Describe("What Flux applies, and waits for", func() {
	var name string

	BeforeEach(func() { name = "flux-" + rand.String(8) })

	It("becomes Current, suspended and expired keys too, and is Failed at no time", func(ctx SpecContext) {
		startAuthServer(ctx, "flux")
		startManager(ctx, account(ctx, managerAccount))
		set := manifests(fluxSet, name)
		began := time.Now()
		fluxApply(ctx, set[:1])
		course := followStatuses(ctx, name)
		fluxApply(ctx, set[1:])
		isEarly := func(object *unstructured.Unstructured) bool { return object.GetName() == "early" }
		others := slices.DeleteFunc(slices.Clone(set), isEarly)
		Eventually(fluxStatuses).WithArguments(ctx, others).Should(HaveEach(status.CurrentStatus))
		key := &v1alpha1.APIKey{}
		key.Namespace, key.Name = name, "early"
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonOrganizationNotFound)
		set = append(set, manifests(lateOrganization, name)...)
		fluxApply(ctx, set[len(set)-1:])
		Eventually(func() []status.Status {
			return append(fluxStatuses(ctx, set), course.failed()...)
		}).Should(HaveEach(status.CurrentStatus))
		for reason, names := range map[string][]string{
			v1alpha1.ReasonReady: {"ordinary", "early"}, v1alpha1.ReasonSuspended: {"suspended"}, v1alpha1.ReasonExpired: {"expired"},
			v1alpha1.ReasonOrganizationSuspended: {"of-a-suspended-organization"},
		} {
			for _, key.Name = range names {
				awaitReason(ctx, key, v1alpha1.ConditionReady, reason)
			}
		}
		Expect(course.failed()).To(BeEmpty())
		Expect(course.of("early")).To(ContainElement(status.InProgressStatus))
		AddReportEntry("flux", fmt.Sprintf("%d objects Current after %s: %s", len(set), time.Since(began).Round(time.Millisecond), course))
	})

	It("is Failed a minute after it was refused for good, and not before", func(ctx SpecContext) {
		startAuthServer(ctx, "flux")
		lead := &atomic.Int64{}
		startManager(ctx, account(ctx, managerAccount), func(o *controllers.Options) { o.Clock = movedClock{lead: lead} })
		set := manifests(fluxSet, name)
		organization := set[len(set)-2]
		Expect(unstructured.SetNestedStringSlice(organization.Object, []string{"ingest"}, "spec", "scopes")).To(Succeed())
		fluxApply(ctx, []*unstructured.Unstructured{set[0], organization})
		key := &v1alpha1.APIKey{}
		key.Namespace, key.Name = name, "refused"
		// What is applied with each text is looked at when the status says so.
		becomes := func(text string) []status.Status {
			refused := manifests(refusedForGood, name, text)
			fluxApply(ctx, refused)
			awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonScopeNotPermitted)
			return fluxStatuses(ctx, refused)
		}
		Expect(becomes("at once")).To(HaveExactElements(status.InProgressStatus))
		refusedAt := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionPermitted).LastTransitionTime
		// Some of the minute is left, for a machine that is slow.
		lead.Store(int64(graceOfRefusals - 20*time.Second))
		Expect(becomes("before")).To(HaveExactElements(status.InProgressStatus))
		lead.Store(int64(graceOfRefusals + time.Second))
		Expect(becomes("a minute later")).To(HaveExactElements(status.FailedStatus))
		Expect(meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionPermitted).LastTransitionTime).To(Equal(refusedAt))
	})
})

// manifests reads YAML documents.
func manifests(text string, values ...any) (objects []*unstructured.Unstructured) {
	GinkgoHelper()
	for document := range strings.SplitSeq(fmt.Sprintf(text, values...), "\n---\n") {
		object := &unstructured.Unstructured{}
		Expect(yaml.UnmarshalStrict([]byte(document), &object.Object)).To(Succeed())
		objects = append(objects, object)
	}
	return objects
}

// fluxApply applies objects as Flux does.
func fluxApply(ctx context.Context, objects []*unstructured.Unstructured) {
	GinkgoHelper()
	for _, object := range objects {
		configuration := client.ApplyConfigurationFromUnstructured(object.DeepCopy())
		Expect(admin.Apply(ctx, configuration, client.FieldOwner(kustomizeController), client.ForceOwnership)).To(Succeed())
	}
}

// fluxStatuses are what kstatus says of objects now.
func fluxStatuses(ctx context.Context, objects []*unstructured.Unstructured) (found []status.Status) {
	GinkgoHelper()
	for _, object := range objects {
		present := object.DeepCopy()
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), present)).To(Succeed())
		found = append(found, statusOf(present))
	}
	return found
}

func statusOf(object *unstructured.Unstructured) status.Status {
	GinkgoHelper()
	result, err := status.Compute(object)
	Expect(err).NotTo(HaveOccurred())
	return result.Status
}

// fluxCourse has every status that kstatus says of the APIKeys of a namespace, from when it
// was first written: a look now and then would miss some.
type fluxCourse struct {
	mu   sync.Mutex
	seen map[string][]status.Status
}

// followStatuses notes every status until the spec ends.
func followStatuses(ctx context.Context, namespace string) *fluxCourse {
	GinkgoHelper()
	keys := &unstructured.UnstructuredList{}
	keys.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("APIKeyList"))
	events, err := admin.Watch(ctx, keys, client.InNamespace(namespace))
	Expect(err).NotTo(HaveOccurred())
	course := &fluxCourse{seen: map[string][]status.Status{}}
	var following sync.WaitGroup
	following.Go(func() {
		defer GinkgoRecover()
		for event := range events.ResultChan() {
			if object, ok := event.Object.(*unstructured.Unstructured); ok && event.Type != watch.Deleted {
				course.note(object)
			}
		}
	})
	DeferCleanup(func() {
		events.Stop()
		following.Wait()
	})
	return course
}

func (c *fluxCourse) note(object *unstructured.Unstructured) {
	if _, written := object.Object["status"]; !written {
		return
	}
	is := statusOf(object)
	c.mu.Lock()
	defer c.mu.Unlock()
	if seen := c.seen[object.GetName()]; len(seen) == 0 || seen[len(seen)-1] != is {
		c.seen[object.GetName()] = append(seen, is)
	}
}

// of has the statuses of an APIKey, in their order.
func (c *fluxCourse) of(name string) []status.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen[name])
}

// failed has the statuses for which Flux gives up.
func (c *fluxCourse) failed() (found []status.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, seen := range c.seen {
		if slices.Contains(seen, status.FailedStatus) {
			found = append(found, status.FailedStatus)
		}
	}
	return found
}

func (c *fluxCourse) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.seen)
}
