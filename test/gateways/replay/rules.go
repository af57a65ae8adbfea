// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rules say what Envoy has of the fields of a spec, which they have by their paths. Fields
// of the elements of a list are as those of an object.
type rules map[string]rule

// rule returns what the value of a field becomes. A value of another type than the schema
// of the field has is a panic: package manifests holds the files against their schemas.
type rule func(value any) (object, error)

// translate merges what becomes of the spec into an object. What has no rule is an error.
func (r rules) translate(spec any, into object) error { return r.translateAt("", spec, into) }

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

// to has the field of Envoy at this path be what convert makes of the value.
func to(path string, convert func(any) any) rule {
	return func(value any) (object, error) { return at(path, convert(value)), nil }
}

func at(path string, value any) object {
	name, rest, nested := strings.Cut(path, ".")
	if nested {
		value = at(rest, value)
	}
	return object{name: value}
}

// within is what a value has at this path, or nil.
func within(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		of, _ := value.(object)
		value = of[name]
	}
	return value
}

func same(value any) any { return value }

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

// commas puts commas between words.
func commas(words any) any {
	return strings.Join(strings.Fields(strings.Trim(fmt.Sprint(words), "[]")), ",")
}

// eachTo has the field of Envoy be what the rules make of each element of a list, in which
// this list has to have one element.
func (r rules) eachTo(field, single string) rule {
	return func(value any) (object, error) {
		translated := list{}
		for _, element := range value.(list) {
			if of, _ := element.(object)[single].(list); len(of) != 1 {
				return nil, unknown("but one of %s", single)
			}
			into := object{}
			if err := r.translate(element, into); err != nil {
				return nil, err
			}
			translated = append(translated, into)
		}
		return object{field: translated}, nil
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
