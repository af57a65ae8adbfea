// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// Manifests are YAML, as people write them: the Go types cannot express
// everything that somebody might apply.

// apiKey returns an APIKey in teamNamespace, with a name of its own.
func apiKey(spec string) *unstructured.Unstructured {
	GinkgoHelper()
	object := manifest("APIKey", spec)
	object.SetNamespace(teamNamespace)
	object.SetGenerateName("key-")
	return object
}

// organization returns an Organization, with a name of its own.
func organization(spec string) *unstructured.Unstructured {
	GinkgoHelper()
	object := manifest("Organization", spec)
	object.SetGenerateName("org-")
	return object
}

func manifest(kind, spec string) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": fields(spec)}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	return object
}

// named gives object a name.
func named(object *unstructured.Unstructured, name string) *unstructured.Unstructured {
	object.SetGenerateName("")
	object.SetName(name)
	return object
}

// fields reads a YAML object.
func fields(text string) map[string]any {
	GinkgoHelper()
	object := map[string]any{}
	Expect(yaml.UnmarshalStrict([]byte(text), &object)).To(Succeed(), "%s", text)
	return object
}

// tryCreate asks the API server whether it would accept object, and leaves
// nothing behind.
func tryCreate(ctx context.Context, object client.Object) error {
	return admin.Create(ctx, object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

// create creates object for the length of a test.
func create(ctx context.Context, object *unstructured.Unstructured) *unstructured.Unstructured {
	GinkgoHelper()
	Expect(admin.Create(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(admin.Delete(ctx, object)) })
	return object
}

// tryChange asks the API server whether it would accept another spec for object.
func tryChange(ctx context.Context, object *unstructured.Unstructured, spec string) error {
	changed := object.DeepCopy()
	changed.Object["spec"] = fields(spec)
	return admin.Update(ctx, changed, client.DryRunAll)
}

// beRefused matches an answer of the schema or its rules: the object is invalid,
// and the message says this.
func beRefused(message string) types.GomegaMatcher {
	return refusal(metav1.StatusReasonInvalid, message)
}

// beForbidden matches an answer of RBAC or a policy.
func beForbidden(message string) types.GomegaMatcher {
	return refusal(metav1.StatusReasonForbidden, message)
}

func refusal(reason metav1.StatusReason, message string) types.GomegaMatcher {
	return SatisfyAll(
		HaveOccurred(),
		WithTransform(apierrors.ReasonForError, Equal(reason)),
		MatchError(ContainSubstring(message)),
	)
}

// entries is a YAML object in one line, with n entries that format names.
func entries(n int, format string) string {
	var text strings.Builder
	text.WriteString("{")
	for i := range n {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, format+": x", i)
	}
	text.WriteString("}")
	return text.String()
}

// chars is a string of n characters.
func chars(n int) string { return strings.Repeat("a", n) }
