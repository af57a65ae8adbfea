// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// rules say what becomes of the fields of an object, which they have by their paths. Fields
// of the elements of a list are as those of an object.
type rules map[string]rule

// rule returns what the value of a field becomes. A value of another type than the schema
// of the field has is a panic: package manifests holds the files against their schemas.
type rule func(value any) (object, error)

// read returns what becomes of the specs in the files, each in the field that its kind is.
// Each kind that has a rule has to be there once.
func (r rules) read(files fs.FS, names ...string) (object, error) {
	specs := object{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
			var one struct {
				APIVersion, Kind string
				Metadata, Spec   object
			}
			if err := yaml.UnmarshalStrict(document, &one); err != nil {
				return nil, err
			}
			if specs[one.Kind] != nil {
				return nil, unknown("another %s", one.Kind)
			}
			specs[one.Kind] = one.Spec
		}
	}
	for kind := range r {
		if specs[kind] == nil {
			return nil, fmt.Errorf("there is no %s", kind)
		}
	}
	return r.translate(specs)
}

// translate is a rule, for what is not a field. What has no rule is an error.
func (r rules) translate(value any) (object, error) {
	made := object{}
	return made, r.translateAt("", value, made)
}

func (r rules) translateAt(path string, value any, into object) error {
	if rule, ok := r[path]; ok {
		made, err := rule(value)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		merge(into, made)
		return nil
	}
	switch v := value.(type) {
	case object:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := r.translateAt(strings.TrimPrefix(path+"."+name, "."), v[name], into); err != nil {
				return err
			}
		}
	case list:
		for _, element := range v {
			if err := r.translateAt(path, element, into); err != nil {
				return err
			}
		}
	default:
		return unknown("%s", path)
	}
	return nil
}

// to has the field at this path be the value, or what convert makes of it.
func to(path string, convert ...func(any) any) rule {
	return func(value any) (object, error) {
		for _, convert := range convert {
			value = convert(value)
		}
		for _, name := range slices.Backward(strings.Split(path, ".")) {
			value = object{name: value}
		}
		return value.(object), nil
	}
}

func always(value any) func(any) any { return func(any) any { return value } }

func each(convert func(any) any) func(any) any {
	return func(value any) any {
		converted := list{}
		for _, element := range value.(list) {
			converted = append(converted, convert(element))
		}
		return converted
	}
}

// to has the field be what the rules make of the value.
func (r rules) to(field string) rule {
	return func(value any) (object, error) {
		made, err := r.translate(value)
		return object{field: made}, err
	}
}

// eachTo has the field be what the rules make of each element of a list, in which the list
// single has to have one element.
func (r rules) eachTo(field, single string) rule {
	return func(value any) (object, error) {
		all := list{}
		for _, element := range value.(list) {
			if of, _ := element.(object)[single].(list); len(of) != 1 {
				return nil, unknown("but one of %s", single)
			}
			made, err := r.translate(element)
			if err != nil {
				return nil, err
			}
			all = append(all, made)
		}
		return object{field: all}, nil
	}
}

// ignored is what has nothing to do with what is asked and what arrives.
func ignored(any) (object, error) { return nil, nil }

// only knows these words.
func only(words ...any) rule {
	return func(value any) (object, error) {
		if !slices.Contains(words, value) {
			return nil, unknown("%v", value)
		}
		return nil, nil
	}
}
