// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keysWith returns the keys in etcd whose value has the text in it.
func keysWith(ctx context.Context, text string) []string {
	GinkgoHelper()
	values, err := plane.DumpEtcd(ctx)
	Expect(err).NotTo(HaveOccurred())
	var keys []string
	for key, value := range values {
		if bytes.Contains(value, []byte(text)) {
			keys = append(keys, key)
		}
	}
	return keys
}

var _ = Describe("a dump of etcd", func() {
	It("has a value that was planted, until it is deleted", func(ctx SpecContext) {
		const planted = "a-value-that-is-nowhere-else"
		namespace := newNamespace(ctx)
		Expect(keysWith(ctx, planted)).To(BeEmpty())
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "planted"},
			Data:       map[string][]byte{"key": []byte(planted)},
		}
		Expect(admin.Create(ctx, secret)).To(Succeed())
		Expect(keysWith(ctx, planted)).To(ConsistOf("/registry/secrets/" + namespace + "/planted"))
		Expect(admin.Delete(ctx, secret)).To(Succeed())
		Expect(keysWith(ctx, planted)).To(BeEmpty())
	})

	It("has every key", func(ctx SpecContext) {
		values, err := plane.DumpEtcd(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(len(values)).To(BeNumerically(">", 100))
		Expect(values).To(HaveKey("/registry/namespaces/default"))
	})
})
