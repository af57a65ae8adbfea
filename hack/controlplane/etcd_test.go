// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keysWith returns the keys in etcd whose value has the text in it.
func keysWith(ctx context.Context, text string) []string {
	GinkgoHelper()
	var keys []string
	Expect(plane.DumpEtcd(ctx, func(key, value []byte) error {
		if bytes.Contains(value, []byte(text)) {
			keys = append(keys, string(key))
		}
		return nil
	})).To(Succeed())
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

	It("has every key once, over many pages", func(ctx SpecContext) {
		const manySmall = 7
		keys := map[string]int{}
		Expect(plane.dumpEtcd(ctx, manySmall, func(key, _ []byte) error {
			keys[string(key)]++
			return nil
		})).To(Succeed())
		Expect(len(keys)).To(BeNumerically(">", 100))
		Expect(keys).To(HaveEach(1))
		Expect(keys).To(HaveKey("/registry/namespaces/default"))
	})

	It("ends with the error of its visitor", func(ctx SpecContext) {
		stop := errors.New("stop")
		Expect(plane.DumpEtcd(ctx, func(_, _ []byte) error { return stop })).To(MatchError(stop))
	})
})
