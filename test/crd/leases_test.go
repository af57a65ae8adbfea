// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"
	"math"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("The policy on Leases", func() {
	const (
		leaderLease = "apikey-manager"
		notOwn      = "an auth server writes the Lease of its own pod only"
		notManagers = "the manager writes the Lease apikey-manager only, and deletes those of auth servers only"
		nobodyElse  = "so nobody else writes it, not admin either"
	)
	component := map[string]string{"auth.hexcovery.io/component": "authserver"}

	// lease is one of the operator's namespace that is not written yet.
	lease := func(name string, labels map[string]string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name, Labels: labels}}
	}
	// written is one that as has written.
	written := func(ctx context.Context, as client.Client, object *coordinationv1.Lease) *coordinationv1.Lease {
		GinkgoHelper()
		Expect(as.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(admin.Delete(ctx, object)) })
		return object
	}
	annotated := func(ctx context.Context, as client.Client, object *coordinationv1.Lease) error {
		changed := object.DeepCopy()
		changed.Annotations = map[string]string{"auth.hexcovery.io/applied-apikeys": "999999999"}
		return as.Update(ctx, changed, client.DryRunAll)
	}
	deleted := func(ctx context.Context, as client.Client, object *coordinationv1.Lease) error {
		return as.Delete(ctx, object.DeepCopy(), client.DryRunAll)
	}
	created := func(ctx context.Context, as client.Client, object *coordinationv1.Lease) error {
		return as.Create(ctx, object.DeepCopy(), client.DryRunAll)
	}

	// own and others are auth servers, each with the token of its pod.
	var own, others client.Client
	var ownName, othersName string
	replica := func(ctx context.Context, name string) (client.Client, string) {
		GinkgoHelper()
		config, uid, err := cluster.Pod(ctx, systemNamespace, authserverAccount, name)
		Expect(err).NotTo(HaveOccurred())
		return newClient(config), "authserver-" + string(uid)
	}

	BeforeEach(func(ctx SpecContext) {
		own, ownName = replica(ctx, "own")
		others, othersName = replica(ctx, "others")
		// The API server learns of a new policy by a watch.
		Eventually(func(ctx context.Context) error {
			return created(ctx, authserver, lease("authserver-probe", component))
		}).WithContext(ctx).Should(beForbidden(notOwn))
	})

	Context("lets an auth server", func() {
		It("make, renew and delete the Lease of its pod", func(ctx SpecContext) {
			object := written(ctx, own, lease(ownName, component))
			Expect(annotated(ctx, own, object)).To(Succeed())
			Expect(own.Delete(ctx, object)).To(Succeed())
		})

		It("write none of another pod's", func(ctx SpecContext) {
			object := written(ctx, others, lease(othersName, component))
			Expect(annotated(ctx, own, object)).To(beForbidden(notOwn + " (" + ownName + ")"))
			Expect(deleted(ctx, own, object)).To(beForbidden(notOwn))
			Expect(annotated(ctx, others, object)).To(Succeed())
			Expect(others.Delete(ctx, object)).To(Succeed())
			Expect(created(ctx, own, lease(othersName, component))).To(beForbidden(notOwn))
		})

		It("neither make, take nor delete the Lease by which managers elect their leader", func(ctx SpecContext) {
			Expect(created(ctx, own, lease(leaderLease, nil))).To(beForbidden(notOwn))
			object := written(ctx, manager, lease(leaderLease, nil))
			Expect(annotated(ctx, own, object)).To(beForbidden(notOwn))
			Expect(deleted(ctx, own, object)).To(beForbidden(notOwn))
		})

		It("make none of any other name", func(ctx SpecContext) {
			Expect(created(ctx, own, lease("authserver-", component))).To(HaveOccurred())
			Expect(created(ctx, own, lease("authserver-elsewhere", component))).To(beForbidden(notOwn))
			Expect(created(ctx, own, lease("something", component))).To(beForbidden(notOwn))
			generated := lease("", component)
			generated.GenerateName = "authserver-"
			Expect(created(ctx, own, generated)).To(beForbidden(notOwn))
		})

		It("not hide from the manager", func(ctx SpecContext) {
			Expect(created(ctx, own, lease(ownName, nil))).To(beForbidden("keeps the label"))
			object := written(ctx, own, lease(ownName, component))
			hidden := object.DeepCopy()
			hidden.Labels = nil
			Expect(own.Update(ctx, hidden)).To(beForbidden("keeps the label"))
		})

		It("promise an hour at most", func(ctx SpecContext) {
			object := lease(ownName, component)
			object.Spec.LeaseDurationSeconds = ptr.To[int32](3601)
			Expect(created(ctx, own, object)).To(beForbidden("3600 seconds at most"))
			object.Spec.LeaseDurationSeconds = ptr.To[int32](3600)
			object = written(ctx, own, object)
			object.Spec.LeaseDurationSeconds = ptr.To[int32](math.MaxInt32)
			Expect(own.Update(ctx, object.DeepCopy())).To(beForbidden("3600 seconds at most"))
		})

		It("fill the manager's memory with nothing", func(ctx SpecContext) {
			for _, fill := range []func(*coordinationv1.Lease){
				func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To(chars(257)) },
				func(l *coordinationv1.Lease) { l.Annotations = map[string]string{"a": chars(4096)} },
				func(l *coordinationv1.Lease) { l.Finalizers = []string{"example.com/keep"} },
				func(l *coordinationv1.Lease) {
					l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: chars(1024), UID: "u"}}
				},
			} {
				object := lease(ownName, component)
				fill(object)
				Expect(created(ctx, own, object)).To(beForbidden("and no finalizer"))
			}
		})

		It("write nothing with a token of no pod", func(ctx SpecContext) {
			object := written(ctx, own, lease(ownName, component))
			Expect(created(ctx, authserver, lease("authserver-", component))).To(HaveOccurred())
			Expect(annotated(ctx, authserver, object)).To(beForbidden(notOwn + " (the token names no pod)"))
			Expect(deleted(ctx, authserver, object)).To(beForbidden(notOwn))
		})
	})

	Context("lets the manager", func() {
		It("make and renew the Lease of its leader, and not delete it", func(ctx SpecContext) {
			object := written(ctx, manager, lease(leaderLease, nil))
			Expect(annotated(ctx, manager, object)).To(Succeed())
			Expect(deleted(ctx, manager, object)).To(beForbidden(notManagers))
		})

		It("delete what an auth server has left behind, and not speak for it", func(ctx SpecContext) {
			object := written(ctx, own, lease(ownName, component))
			Expect(created(ctx, manager, lease(othersName, component))).To(beForbidden(notManagers))
			Expect(annotated(ctx, manager, object)).To(beForbidden(""))
			Expect(manager.Delete(ctx, object)).To(Succeed())
		})

		It("touch no other Lease", func(ctx SpecContext) {
			object := written(ctx, admin, lease("something", nil))
			Expect(created(ctx, manager, lease("another", nil))).To(beForbidden(notManagers))
			Expect(deleted(ctx, manager, object)).To(beForbidden(notManagers))
		})
	})

	Context("lets everybody else, and who may do everything", func() {
		It("speak for no auth server", func(ctx SpecContext) {
			object := written(ctx, own, lease(ownName, component))
			Expect(annotated(ctx, admin, object)).To(beForbidden("the Lease says what an auth server has applied, " + nobodyElse))
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":null}}`))
			Expect(admin.Patch(ctx, object.DeepCopy(), patch)).To(beForbidden(nobodyElse))
			Expect(created(ctx, admin, lease(othersName, nil))).To(beForbidden(nobodyElse))
			Expect(created(ctx, admin, lease("something", component))).To(beForbidden(nobodyElse))
		})

		It("not take the leadership", func(ctx SpecContext) {
			Expect(created(ctx, admin, lease(leaderLease, nil))).To(beForbidden("the Lease says what the managers have agreed on, " + nobodyElse))
			object := written(ctx, manager, lease(leaderLease, nil))
			Expect(annotated(ctx, admin, object)).To(beForbidden(nobodyElse))
		})

		It("delete them by hand, as far as RBAC lets them", func(ctx SpecContext) {
			object := written(ctx, own, lease(ownName, component))
			Expect(admin.Delete(ctx, object)).To(Succeed())
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(MatchError(apierrors.IsNotFound, "gone"))
			Expect(deleted(ctx, asEditor, lease(leaderLease, nil))).To(beForbidden("cannot delete resource \"leases\""))
		})

		It("have Leases of their own beside these, and whatever they like elsewhere", func(ctx SpecContext) {
			Expect(annotated(ctx, admin, written(ctx, admin, lease("something", nil)))).To(Succeed())
			elsewhere := lease(ownName, component)
			elsewhere.Namespace = teamNamespace
			Expect(annotated(ctx, admin, written(ctx, admin, elsewhere))).To(Succeed())
		})
	})
})
