// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// What the file has to say that it is.
const (
	apiVersion = "auth.hexcovery.io/v1alpha1"
	kind       = "Surface"
)

// config is the configuration file; the package documentation describes it.
type config struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Rules      []ruleConfig `json:"rules"`
}

type ruleConfig struct {
	Name     string         `json:"name"`
	Scope    v1alpha1.Scope `json:"scope,omitempty"`
	Sessions bool           `json:"sessions,omitempty"`
	Methods  []string       `json:"methods,omitempty"`
	Paths    []string       `json:"paths,omitempty"`
	GRPC     []string       `json:"grpc,omitempty"`
}

// MaxFileBytes is the size of the largest file that is read. A ConfigMap holds no more.
const MaxFileBytes = 1 << 20

// Load reads a Table from a file.
func Load(file string) (*Table, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return parseFile(file, data)
}

func readFile(file string) ([]byte, error) {
	// Before it is opened: to open a pipe waits for whoever writes into it.
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the surface: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read the surface: %s is not a regular file: name the file itself", file)
	}
	f, err := os.Open(file) //nolint:gosec // The administrator names it.
	if err != nil {
		return nil, fmt.Errorf("read the surface: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the surface: %w", err)
	}
	return data, nil
}

func parseFile(file string, data []byte) (*Table, error) {
	table, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("surface %s: %w", file, err)
	}
	return table, nil
}

// Parse reads a Table from YAML, of MaxFileBytes at most. Unknown and repeated fields are errors, and so is
// everything that would leave in doubt which rule decides; an error names the rule
// and says what to do.
func Parse(data []byte) (*Table, error) {
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("larger than %d bytes: a surface has to fit into a ConfigMap", MaxFileBytes)
	}
	var c config
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if c.APIVersion != apiVersion || c.Kind != kind {
		return nil, fmt.Errorf("apiVersion %q and kind %q: this version reads apiVersion %q and kind %q",
			c.APIVersion, c.Kind, apiVersion, kind)
	}
	if len(c.Rules) == 0 {
		return nil, errors.New("rules: empty, so every request would be refused: list at least one rule")
	}
	return build(c.Rules)
}

// validate checks a rule by itself. What it says does not name the rule: build does.
func (r *ruleConfig) validate() error {
	if r.Scope == "" && !r.Sessions {
		return fmt.Errorf("has neither a scope nor sessions: add a scope, one of %v, or sessions: true, or both", v1alpha1.AllScopes())
	}
	if r.Scope != "" && !scope.Known(r.Scope) {
		return fmt.Errorf("scope %q: use one of %v", r.Scope, v1alpha1.AllScopes())
	}
	if len(r.GRPC) > 0 {
		if len(r.Methods) > 0 || len(r.Paths) > 0 {
			return errors.New("has grpc beside methods or paths: split it into two rules")
		}
		return nil
	}
	if len(r.Paths) == 0 {
		return errors.New("names no request: add paths and methods, or grpc")
	}
	if len(r.Methods) == 0 {
		return errors.New("has no methods: list each method that it permits")
	}
	for _, method := range r.Methods {
		if err := validateMethod(method); err != nil {
			return err
		}
	}
	return nil
}

func validateMethod(method string) error {
	switch {
	case method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return fmt.Errorf("method %q: write methods in capitals, as they are sent, one an entry", method)
	case method == "CONNECT" || method == "TRACE":
		return fmt.Errorf("method %q: leave it out, it is never permitted", method)
	}
	return nil
}
