// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/controlplane"
)

// A restore takes the whole cluster back in time: what was revoked since the backup is
// as it was then, and nothing in the cluster knows better. This is what docs/backup.md
// says of it, on a control plane of its own.
var _ = Describe("A restore of etcd", func() {
	It("brings back what was revoked since, ends what was made since, and leaves keys and Secrets in agreement", func(ctx SpecContext) {
		own, err := controlplane.Start(ctx, controlplane.Options{Log: GinkgoWriter, Apply: []string{"config/base"}})
		Expect(err).NotTo(HaveOccurred())
		shared, sharedAdmin := plane, admin
		DeferCleanup(func() {
			plane, admin = shared, sharedAdmin
			Expect(own.Stop()).To(Succeed())
		})
		plane, admin = own, clientOf(own.Admin())
		awaitStatusPolicy(ctx)

		replica, staying := startAuthServer(ctx, "etcd"), startAuthServer(ctx, "etcd-staying")
		stop := startManager(ctx, account(ctx, managerAccount))
		t := newTenant(ctx)
		revoked, rotated := t.mint(ctx, "revoked"), t.mint(ctx, "rotated", overlapping(time.Hour, time.Hour, time.Hour))
		revokedText, before := plaintextOf(ctx, revoked), plaintextOf(ctx, rotated)
		stop()
		restore, err := own.BackUpEtcd(ctx)
		Expect(err).NotTo(HaveOccurred())

		By("revoking, rotating and making keys since")
		Eventually(replica.status).WithArguments(revokedText).Should(Equal(http.StatusOK), "the auth server has not come back")
		stop = startManager(ctx, account(ctx, managerAccount))
		Expect(admin.Delete(ctx, revoked.DeepCopy())).To(Succeed())
		awaitGone(ctx, revoked.DeepCopy())
		Expect(replica.status(revokedText)).To(Equal(http.StatusUnauthorized))
		id := rotated.Status.KeyID
		change(ctx, rotated, trigger("since"))
		awaitReplaced(ctx, rotated, id)
		after := plaintextOf(ctx, rotated)
		since := plaintextOf(ctx, t.mint(ctx, "since"))
		Expect(replica.status(since)).To(Equal(http.StatusOK))

		By("restoring, with the manager and an auth server stopped, and another running on")
		stop()
		replica.stop()
		Expect(restore(ctx)).To(Succeed())
		replica = startAuthServer(ctx, "etcd-restored")
		startManager(ctx, account(ctx, managerAccount))
		Expect(replica.status(revokedText)).To(Equal(http.StatusOK), "the cluster is as it was")
		Expect(replica.status(before)).To(Equal(http.StatusOK))
		Expect(replica.status(after)).To(Equal(http.StatusUnauthorized))
		Expect(replica.status(since)).To(Equal(http.StatusUnauthorized))
		awaitReady(ctx, rotated)
		Expect(plaintextOf(ctx, rotated)).To(Equal(before))

		By("asking the one that was not stopped")
		for _, known := range []struct {
			text   []byte
			status int
		}{{before, http.StatusOK}, {revokedText, http.StatusOK}, {after, http.StatusUnauthorized}, {since, http.StatusUnauthorized}} {
			Eventually(staying.status, 3*staleness).WithArguments(known.text).Should(Equal(known.status))
		}

		By("ending, as the audit trail says, what was revoked since")
		Expect(admin.Delete(ctx, revoked.DeepCopy())).To(Succeed())
		awaitGone(ctx, revoked.DeepCopy())
		for _, server := range []*authServer{replica, staying} {
			Expect(server.status(revokedText)).To(Equal(http.StatusUnauthorized))
		}
		change(ctx, rotated, func(k *v1alpha1.APIKey) { k.Spec.Rotation.Trigger, k.Spec.Rotation.Retire = "restored", "restored" })
		Eventually(replica.status).WithArguments(before).Should(Equal(http.StatusUnauthorized))
	})
})
