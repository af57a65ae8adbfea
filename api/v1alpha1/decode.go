// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"
)

// One object that cannot be decoded must cost itself only. A list or a watch is decoded
// as a whole, so an error anywhere in it would end it for every object: the decoding of
// an object never fails for what its spec or status hold. What can be decoded is kept,
// and Refusal says what could not.

// MaxObjectSize is the most, in bytes of JSON, that an object may have whose keys are
// accepted. It is a third of what etcd stores by default (--max-request-bytes, 1.5 MiB),
// so that there is always room to suspend, to delete, and to write a status.
const MaxObjectSize = 512 << 10

// maxRefusal bounds Refusal, which becomes the message of a condition, in bytes.
const maxRefusal = 240

// UnmarshalJSON decodes an APIKey. It fails only for what is no object, or has no
// readable identity.
func (k *APIKey) UnmarshalJSON(data []byte) error {
	// A type without this method, and with the fields of the other.
	type plain APIKey
	k.Refusal, k.Trimmed = "", false
	err := json.Unmarshal(data, (*plain)(k))
	if err != nil {
		*k = APIKey{}
		refusal, unreadable := salvage(data, err, &k.TypeMeta, &k.ObjectMeta, &k.Spec, &k.Status)
		if unreadable != nil {
			return unreadable
		}
		k.Refusal = refusal
	}
	if tooLarge := oversize(data); tooLarge != "" {
		k.Refusal = tooLarge
		k.ManagedFields, k.Labels, k.Annotations = nil, nil, RequesterAnnotations(k.Annotations)
		k.Spec.Description, k.Spec.ImportedKeys = "", nil
		k.Spec.Secret = SecretTemplate{Name: k.Spec.Secret.Name}
	}
	return nil
}

// UnmarshalJSON decodes an Organization. It fails only for what is no object, or has no
// readable identity.
func (o *Organization) UnmarshalJSON(data []byte) error {
	type plain Organization
	o.Refusal = ""
	err := json.Unmarshal(data, (*plain)(o))
	if err != nil {
		*o = Organization{}
		refusal, unreadable := salvage(data, err, &o.TypeMeta, &o.ObjectMeta, &o.Spec, &o.Status)
		if unreadable != nil {
			return unreadable
		}
		o.Refusal = refusal
	}
	if tooLarge := oversize(data); tooLarge != "" {
		o.Refusal = tooLarge
		o.ManagedFields, o.Labels, o.Annotations = nil, nil, RequesterAnnotations(o.Annotations)
		o.Spec.Namespaces, o.Spec.Blocked = NamespacePolicy{}, nil
	}
	return nil
}

func oversize(data []byte) string {
	if len(data) <= MaxObjectSize {
		return ""
	}
	return fmt.Sprintf("The object has %d bytes of JSON, and more than %d are refused. Remove labels, annotations, owner references or entries of its spec.",
		len(data), MaxObjectSize)
}

// RequesterAnnotations returns those annotations of an object that its programs read: who
// changed it last. It returns nil where there is none.
func RequesterAnnotations(annotations map[string]string) map[string]string {
	var kept map[string]string
	for _, name := range []string{AnnotationRequestedBy, AnnotationRequestedByUID} {
		if value, ok := annotations[name]; ok {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = value
		}
	}
	return kept
}

// rawObject is a JSON object of which nothing is decoded but the names.
type rawObject map[string]rawValue

// rawValue is encoding/json's RawMessage, with which api would import a second decoder.
type rawValue []byte

func (v *rawValue) UnmarshalJSON(data []byte) error {
	*v = append((*v)[:0], data...)
	return nil
}

// salvage decodes the parts of an object that cannot be decoded as a whole because of
// cause, and returns what to say of the first one that cannot.
func salvage(data []byte, cause error, typeMeta *metav1.TypeMeta, meta *metav1.ObjectMeta, spec, status any) (refusal string, err error) {
	parts := rawObject{}
	if json.Unmarshal(data, &parts) != nil {
		return "", cause
	}
	if err := json.Unmarshal(data, typeMeta); err != nil {
		return "", err
	}
	var found []string
	keep := func(path string, raw rawValue, target any) {
		found = append(found, decodePart(path, raw, reflect.ValueOf(target).Elem())...)
	}
	keep("metadata", parts["metadata"], meta)
	if meta.Name == "" || meta.UID == "" || meta.ResourceVersion == "" {
		// Nobody could say what was refused, and nobody could forget what it was before.
		return "", fmt.Errorf("object without a readable name, uid and resourceVersion: %w", cause)
	}
	keep("spec", parts["spec"], spec)
	keep("status", parts["status"], status)
	if len(found) == 0 {
		// Each part can be decoded, and the whole cannot: it is refused all the same.
		found = append(found, "The object cannot be decoded.")
	}
	return bounded(found[0]) + " Correct it, or delete the object.", nil
}

// decodePart decodes raw into target. Where it cannot, target keeps what can be decoded of
// its fields, and is empty otherwise; returned is what to say of each field that cannot.
func decodePart(path string, raw rawValue, target reflect.Value) (found []string) {
	if raw == nil || json.Unmarshal(raw, target.Addr().Interface()) == nil {
		return nil
	}
	target.SetZero()
	structure := target.Type()
	if structure.Kind() == reflect.Pointer {
		structure = structure.Elem()
	}
	fields := rawObject{}
	if structure.Kind() != reflect.Struct || reflect.PointerTo(structure).Implements(unmarshaler) || json.Unmarshal(raw, &fields) != nil {
		return []string{undecodable(path, raw)}
	}
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(structure))
		target = target.Elem()
	}
	for i := range structure.NumField() {
		name, _, _ := strings.Cut(structure.Field(i).Tag.Get("json"), ",")
		found = append(found, decodePart(path+"."+name, fields[name], target.Field(i))...)
	}
	return found
}

var unmarshaler = reflect.TypeFor[interface{ UnmarshalJSON(data []byte) error }]()

// undecodable names a field, and quotes its value if that is short and no template, which
// may hold anything.
func undecodable(path string, raw rawValue) string {
	var text string
	switch {
	case strings.HasPrefix(path, "spec.secret"):
	case json.Unmarshal(raw, &text) == nil:
		return fmt.Sprintf("%s cannot be decoded: %s.", path, quoted(text))
	case raw[0] != '{' && raw[0] != '[':
		return fmt.Sprintf("%s cannot be decoded: %s.", path, quoted(string(raw)))
	}
	return path + " cannot be decoded."
}

// maxQuoted bounds a value that is quoted, in bytes: a time has 35.
const maxQuoted = 40

func quoted(text string) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%+q…", strings.ToValidUTF8(text[:maxQuoted], ""))
	}
	return fmt.Sprintf("%+q", text)
}

func bounded(text string) string {
	if len(text) <= maxRefusal {
		return text
	}
	cut := maxRefusal - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
