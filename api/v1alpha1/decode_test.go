// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kjson "k8s.io/apimachinery/pkg/util/json"
)

const (
	identity = `"apiVersion":"auth.hexcovery.io/v1alpha1","kind":"APIKey","metadata":{"name":"ci","namespace":"team","uid":"u-1","resourceVersion":"7"}`
	spec     = `"spec":{"organizationRef":{"name":"acme"}%s}`
	// poison is an APIKey as an earlier schema may have stored it: "t" is RFC 3339, and
	// no time to Go.
	poison = `{` + identity + `,"spec":{"organizationRef":{"name":"acme"},"expirationTime":"2027-01-01t00:00:00z"}}`
)

// TestWhatCannotBeDecodedIsNamed has a field a row.
func TestWhatCannotBeDecodedIsNamed(t *testing.T) {
	long := strings.Repeat("9", 100_000)
	for name, row := range map[string]struct{ object, refusal string }{
		"a time in lower case":   {poison, `spec.expirationTime cannot be decoded: "2027-01-01t00:00:00z". Correct it, or delete the object.`},
		"a time with rubbish":    {withSpec(`,"expirationTime":"2027-01-01T00:00:00Zrubbish"`), `spec.expirationTime cannot be decoded: "2027-01-01T00:00:00Zrubbish". `},
		"an escape sequence":     {withSpec(`,"ttl":"\u001b[31m\u202e"`), `spec.ttl cannot be decoded: "\x1b[31m\u202e". `},
		"a long value":           {withSpec(`,"ttl":"` + long + `"`), `spec.ttl cannot be decoded: "` + long[:maxQuoted] + `"…. `},
		"a long number":          {withSpec(`,"ttl":` + long), `spec.ttl cannot be decoded: "` + long[:maxQuoted] + `"…. `},
		"a duration in the deep": {withSpec(`,"rotation":{"restart":{},"overlap":{"min":"1d"}}`), `spec.rotation.overlap.min cannot be decoded: "1d". `},
		"a boolean":              {withSpec(`,"suspend":"yes"`), `spec.suspend cannot be decoded: "yes". `},
		"a list":                 {withSpec(`,"scopes":{"a":1}`), `spec.scopes cannot be decoded. `},
		"a template":             {withSpec(`,"secret":{"data":{"a":7}}`), `spec.secret.data cannot be decoded. `},
		"a spec":                 {`{` + identity + `,"spec":[]}`, `spec cannot be decoded. `},
		"a status":               {`{` + identity + `,"status":{"versions":[{"registrationTime":"soon"}]}}`, `status.versions cannot be decoded. `},
		"labels": {
			`{"metadata":{"name":"ci","uid":"u-1","resourceVersion":"7","labels":{"a":1}}}`,
			`metadata.labels cannot be decoded. `,
		},
		"a creation": {
			`{"metadata":{"name":"ci","uid":"u-1","resourceVersion":"7","creationTimestamp":"then"}}`,
			`metadata.creationTimestamp cannot be decoded: "then". `,
		},
	} {
		t.Run(name, func(t *testing.T) {
			key := &APIKey{}
			if err := kjson.Unmarshal([]byte(row.object), key); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(key.Refusal, row.refusal) || len(key.Refusal) > 300 {
				t.Errorf("refusal is %s, want %s", key.Refusal, row.refusal)
			}
			if key.Name != "ci" || key.UID != "u-1" || key.ResourceVersion != "7" {
				t.Errorf("identity is lost: %+v", key.ObjectMeta)
			}
		})
	}
}

func withSpec(more string) string { return `{` + identity + `,` + fmt.Sprintf(spec, more) + `}` }

func TestWhatCanBeDecodedIsKept(t *testing.T) {
	key := &APIKey{Refusal: "of before", Spec: APIKeySpec{Description: "of before"}}
	object := `{"metadata":{"name":"ci","uid":"u-1","resourceVersion":"7","deletionTimestamp":"2026-01-02T03:04:05Z","labels":{"a":1},"finalizers":["auth.hexcovery.io/revoke"]},
		"spec":{"organizationRef":{"name":"acme"},"expirationTime":"never","suspend":true,"rotation":{"interval":"1w","rotateAfter":"soon","restart":{"policy":"None"}}},
		"status":{"uid":"u-1","expirationTime":"never","versions":[{"id":"0123456789ab"}]}}`
	if err := json.Unmarshal([]byte(object), key); err != nil {
		t.Fatal(err)
	}
	if key.DeletionTimestamp == nil || len(key.Finalizers) != 1 || key.Labels != nil || key.Spec.OrganizationRef.Name != "acme" || !key.Spec.Suspend ||
		key.Spec.ExpirationTime != nil || key.Spec.Rotation.Restart.Policy != RestartNone || key.Spec.Rotation.RotateAfter != nil || key.Spec.Rotation.Interval != nil || key.Spec.Description != "" ||
		!key.StatusIsOwn() || len(key.Status.Versions) != 1 {
		t.Errorf("got %+v", key)
	}
	if key.Refusal != "metadata.labels cannot be decoded. Correct it, or delete the object." {
		t.Errorf("refusal is %q", key.Refusal)
	}
	// The next answer about the same object is another one.
	if err := json.Unmarshal([]byte(withSpec("")), key); err != nil || key.Refusal != "" {
		t.Errorf("refusal is %q, error %v", key.Refusal, err)
	}
}

// TestWithoutIdentity: nobody could say which object is refused, or forget what it was
// before, so this ends a list or a watch.
func TestWithoutIdentity(t *testing.T) {
	for _, object := range []string{
		`7`, `[]`, `"{}"`, `{"spec":[]}`, `{"metadata":7}`, `{"metadata":{"name":"a","uid":7,"resourceVersion":"1"}}`,
		`{"metadata":{"name":"a","uid":"b"},"spec":[]}`,
	} {
		if err := json.Unmarshal([]byte(object), &APIKey{}); err == nil {
			t.Errorf("%s is decoded as an APIKey", object)
		}
		if err := json.Unmarshal([]byte(object), &Organization{}); err == nil {
			t.Errorf("%s is decoded as an Organization", object)
		}
	}
}

func TestAnOrganizationThatCannotBeDecoded(t *testing.T) {
	organization := &Organization{}
	object := `{"metadata":{"name":"acme","uid":"u-1","resourceVersion":"7"},"spec":{"id":"acme","maxKeyAge":"90d","namespaces":{"selector":7}}}`
	if err := json.Unmarshal([]byte(object), organization); err != nil {
		t.Fatal(err)
	}
	want := `spec.namespaces.selector cannot be decoded: "7". Correct it, or delete the object.`
	if organization.Refusal != want || organization.Spec.ID != "acme" || organization.Spec.Namespaces.Selector != nil {
		t.Errorf("got %+v", organization)
	}
}

// TestTooLarge: an object that leaves no room in etcd to suspend or to delete it is
// refused, and none of what makes it large stays in memory.
func TestTooLarge(t *testing.T) {
	big := strings.Repeat("a", MaxObjectSize)
	object := `{"metadata":{"name":"ci","uid":"u-1","resourceVersion":"7","annotations":{"auth.hexcovery.io/requested-by":"erin"},"labels":{"a":%q}},
		"spec":{"organizationRef":{"name":"acme"},"secret":{"name":"s","data":{"a":%q}}},"status":{"uid":"u-1"}}`
	for name, text := range map[string]string{"labels": fmt.Sprintf(object, big, ""), "spec": fmt.Sprintf(object, "", big)} {
		key := &APIKey{}
		if err := json.Unmarshal([]byte(text), key); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(key.Refusal, "The object has 524") || len(key.Refusal) > 300 {
			t.Errorf("%s: refusal is %s", name, key.Refusal)
		}
		if kept, _ := json.Marshal(key); len(kept) > 1000 {
			t.Errorf("%s: %d bytes are kept", name, len(kept))
		}
		if key.SecretName() != "s" || key.Annotations[AnnotationRequestedBy] != "erin" || !key.StatusIsOwn() {
			t.Errorf("%s: got %+v", name, key)
		}
	}
	key := &APIKey{}
	edge := fmt.Sprintf(object, "", "")
	edge = fmt.Sprintf(object, "", strings.Repeat("a", MaxObjectSize-len(edge)))
	if err := json.Unmarshal([]byte(edge), key); err != nil || key.Refusal != "" || len(edge) != MaxObjectSize {
		t.Errorf("an object of %d bytes: %q, %v", len(edge), key.Refusal, err)
	}
}

// TestOneBadObjectCostsItselfOnly goes through the decoders that clients, reflectors and
// caches use.
func TestOneBadObjectCostsItselfOnly(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	good := withSpec("")

	list, _, err := decoder.Decode([]byte(`{"apiVersion":"auth.hexcovery.io/v1alpha1","kind":"APIKeyList","metadata":{"resourceVersion":"9"},"items":[`+good+`,`+poison+`,`+good+`]}`), nil, nil)
	if err != nil {
		t.Fatalf("a list: %v", err)
	}
	items := list.(*APIKeyList).Items
	if len(items) != 3 || items[0].Refusal != "" || items[1].Refusal == "" || items[2].Refusal != "" {
		t.Errorf("a list: got %+v", items)
	}

	event := &metav1.WatchEvent{}
	if err := kjson.Unmarshal([]byte(`{"type":"ADDED","object":`+poison+`}`), event); err != nil {
		t.Fatalf("a watch: %v", err)
	}
	object, _, err := decoder.Decode(event.Object.Raw, nil, nil)
	if err != nil || object.(*APIKey).Refusal == "" {
		t.Errorf("a watch: got %+v, %v", object, err)
	}

	loose := &unstructured.Unstructured{}
	if err := kjson.Unmarshal([]byte(poison), &loose.Object); err != nil {
		t.Fatal(err)
	}
	key := &APIKey{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(loose.Object, key); err != nil || key.Refusal == "" {
		t.Errorf("from unstructured: got %+v, %v", key, err)
	}
}

// TestADecodedObjectIsWhatWasEncoded: the decoding is that of the fields, and Refusal is
// never stored.
func TestADecodedObjectIsWhatWasEncoded(t *testing.T) {
	want := typical()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	want.Refusal = "something"
	if again, _ := json.Marshal(want); string(again) != string(text) {
		t.Error("Refusal is encoded")
	}
	want.Refusal = ""
	got := &APIKey{}
	if err := json.Unmarshal(text, got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v, %v", got, want, err)
	}
}

// FuzzDecode: no object ends a list or a watch, and none that decodes field by field is
// refused.
func FuzzDecode(f *testing.F) {
	text, _ := json.Marshal(typical())
	f.Add(text)
	for _, seed := range []string{poison, withSpec(`,"ttl":null`), withSpec(`,"ttl":7`), `{"metadata":{"name":"a","uid":"b","resourceVersion":"c","labels":[]},"spec":{},"Spec":7}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		type plain APIKey
		type plainOrganization Organization
		object := map[string]any{}
		if kjson.Unmarshal(data, &object) != nil || object == nil {
			return
		}
		metadata, _ := object["metadata"].(map[string]any)
		hasIdentity := true
		for _, name := range []string{"name", "uid", "resourceVersion"} {
			text, _ := metadata[name].(string)
			hasIdentity = hasIdentity && text != ""
		}
		key, organization := &APIKey{}, &Organization{}
		keyErr, organizationErr := kjson.Unmarshal(data, key), kjson.Unmarshal(data, organization)
		check := func(plainErr, err error, refusal string) {
			switch {
			case plainErr == nil && (err != nil || refusal != "" && len(data) <= MaxObjectSize):
				t.Errorf("decodes as it is, and gives %v, %q", err, refusal)
			case plainErr != nil && err == nil && refusal == "":
				t.Errorf("does not decode as it is, and is not refused: %v", plainErr)
			case err != nil && hasIdentity:
				t.Errorf("has an identity, and gives an error: %v", err)
			case len(refusal) > 300:
				t.Errorf("a refusal of %d bytes: %s", len(refusal), refusal)
			}
		}
		check(kjson.Unmarshal(data, &plain{}), keyErr, key.Refusal)
		check(kjson.Unmarshal(data, &plainOrganization{}), organizationErr, organization.Refusal)
	})
}

// typical is an APIKey as they are.
func typical() *APIKey {
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local))
	return &APIKey{
		TypeMeta: metav1.TypeMeta{APIVersion: GroupVersion.String(), Kind: "APIKey"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "prod-agent", Namespace: "team-acme", UID: "7f3c1e62-8f2f-4a53-9d26-2cbd7a4c8f0e", ResourceVersion: "123456", Generation: 3,
			CreationTimestamp: at, Finalizers: []string{Finalizer}, Labels: map[string]string{"app.kubernetes.io/part-of": "agent"},
			Annotations: map[string]string{AnnotationRequestedBy: "system:serviceaccount:argocd:argocd-application-controller"},
			ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: "argocd-controller", Operation: metav1.ManagedFieldsOperationApply, APIVersion: GroupVersion.String(), Time: &at,
				FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:app.kubernetes.io/part-of":{}}},"f:spec":{"f:organizationRef":{"f:name":{}},"f:scopes":{}}}`),
			}},
		},
		Spec: APIKeySpec{
			OrganizationRef: OrganizationReference{Name: "acme"}, Description: "ships logs and metrics of the production cluster", Scopes: []Scope{"ingest"},
			ExpirationTime: &at, Rotation: Rotation{Interval: &metav1.Duration{Duration: 720 * time.Hour}},
		},
		Status: APIKeyStatus{
			ObservedGeneration: 3, UID: "7f3c1e62-8f2f-4a53-9d26-2cbd7a4c8f0e", OrganizationID: "acme", KeyID: "0123456789ab", ExpirationTime: &at,
			Versions: []KeyVersion{{ID: "0123456789ab", SHA256: strings.Repeat("0123456789abcdef", 4), State: VersionActive, RegistrationTime: at, ActivationTime: &at, LastUsedTime: &at}},
			Conditions: []metav1.Condition{
				{Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonReady, LastTransitionTime: at, Message: "Secret \"prod-agent\" holds key 0123456789ab, and the auth servers know it"},
				{Type: ConditionPermitted, Status: metav1.ConditionTrue, Reason: ReasonPermitted, LastTransitionTime: at, Message: "Organization \"acme\" permits namespace and scopes"},
				{Type: ConditionRegistered, Status: metav1.ConditionTrue, Reason: ReasonRegistered, LastTransitionTime: at, Message: "the auth servers know the key"},
				{Type: ConditionPublished, Status: metav1.ConditionTrue, Reason: ReasonPublished, LastTransitionTime: at, Message: "Secret \"prod-agent\" holds key 0123456789ab"},
			},
		},
	}
}

func BenchmarkDecode(b *testing.B) {
	text, err := json.Marshal(typical())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("APIKey", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if err := kjson.Unmarshal(text, &APIKey{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("without UnmarshalJSON", func(b *testing.B) {
		type plain APIKey
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if err := kjson.Unmarshal(text, &plain{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
