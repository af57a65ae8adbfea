// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	testingclock "k8s.io/utils/clock/testing"
)

// naming is a surface of one path.
func naming(path string) string {
	return "apiVersion: auth.hexcovery.io/v1alpha1\nkind: Surface\nrules:\n- {name: only, scope: query, methods: [GET], paths: [" + path + "]}\n"
}

// fileTest is a File in a folder of its own, and what it logs.
type fileTest struct {
	*File
	testing.TB

	folder   string
	lines    chan string
	gatherer *prometheus.Registry
}

// open makes a file with a surface of /first, and opens it. Nothing polls it unless
// the test says so.
func open(t testing.TB) *fileTest {
	t.Helper()
	f := &fileTest{TB: t, folder: t.TempDir(), lines: make(chan string, 1000)}
	f.write("surface.yaml", naming("/first"))
	f.open("surface.yaml")
	return f
}

func (f *fileTest) open(name string) {
	f.Helper()
	var err error
	f.gatherer = prometheus.NewRegistry()
	f.File, err = Open(FileConfig{
		Name: filepath.Join(f.folder, name),
		Log:  funcr.New(func(_, line string) { f.lines <- line }, funcr.Options{}),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.gatherer.MustRegister(f.File)
	f.settle, f.poll = 5*time.Millisecond, time.Hour
	f.says("surface loaded")
}

// follow runs the File until the test ends or the function is called.
func (f *fileTest) follow() (stop func()) {
	ctx, cancel := context.WithCancel(f.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	f.says("watching the surface file")
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	f.Cleanup(stop)
	return stop
}

func (f *fileTest) path(name string) string { return filepath.Join(f.folder, name) }

// write writes a file in place: for a moment it is empty.
func (f *fileTest) write(name, content string) {
	f.Helper()
	if err := os.WriteFile(f.path(name), []byte(content), 0o600); err != nil {
		f.Fatal(err)
	}
}

func (f *fileTest) rename(from, to string) {
	f.Helper()
	if err := os.Rename(f.path(from), f.path(to)); err != nil {
		f.Fatal(err)
	}
}

// put replaces the file as a whole.
func (f *fileTest) put(content string) {
	f.Helper()
	f.write("next", content)
	f.rename("next", "surface.yaml")
}

func (f *fileTest) symlink(target, name string) {
	f.Helper()
	if err := os.Symlink(target, f.path(name)); err != nil {
		f.Fatal(err)
	}
}

// publish makes a version of the files of a ConfigMap as the kubelet does.
func (f *fileTest) publish(version, content string) {
	f.Helper()
	if err := os.Mkdir(f.path(version), 0o700); err != nil {
		f.Fatal(err)
	}
	f.write(filepath.Join(version, "surface.yaml"), content)
	f.symlink(version, "..data_tmp")
	f.rename("..data_tmp", "..data")
}

// says waits until something is logged, which has to be next.
func (f *fileTest) says(want string) string {
	f.Helper()
	select {
	case line := <-f.lines:
		if !strings.Contains(line, want) {
			f.Fatalf("logged %s; want %q", line, want)
		}
		return line
	case <-time.After(10 * time.Second):
		f.Fatalf("nothing is logged; want %q", want)
		return ""
	}
}

// isReplaced waits until the surface is another. On a slow machine a file that is written
// in place may first be found, and refused, as it is in between.
func (f *fileTest) isReplaced() {
	f.Helper()
	for line := f.says(""); !strings.Contains(line, "surface replaced"); line = f.says("") {
		if !strings.Contains(line, "surface file refused") {
			f.Fatalf("logged %s; want that the surface is replaced", line)
		}
	}
}

func (f *fileTest) silent() {
	f.Helper()
	select {
	case line := <-f.lines:
		f.Errorf("logged %s", line)
	default:
	}
}

// permits checks which path is the surface's.
func (f *fileTest) permits(want Path) {
	f.Helper()
	for _, path := range []Path{"/first", "/second", "/third"} {
		if _, outcome := f.Lookup(Key, "GET", path); (outcome == Found) != (path == want) {
			f.Errorf("%s: %v; want %s only", path, outcome, want)
		}
	}
}

// measures returns the value of each metric, with that of its label.
func (f *fileTest) measures() map[string]float64 {
	f.Helper()
	families, err := f.gatherer.Gather()
	if err != nil {
		f.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "apikey_surface_")
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return values
}

func TestFileIsFollowed(t *testing.T) {
	for name, replace := range map[string]func(f *fileTest, content string){
		"by a rename, as editors do": func(f *fileTest, content string) { f.put(content) },
		"by writing into it":         func(f *fileTest, content string) { f.write("surface.yaml", content) },
		"after it was removed": func(f *fileTest, content string) {
			if err := os.Remove(f.path("surface.yaml")); err != nil {
				f.Fatal(err)
			}
			f.write("surface.yaml", content)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			f.follow()
			f.permits("/first")
			replace(f, naming("/second"))
			f.isReplaced()
			f.permits("/second")
			replace(f, naming("/third"))
			f.isReplaced()
			f.permits("/third")
		})
	}
}

func TestConfigMapIsFollowed(t *testing.T) {
	f := &fileTest{TB: t, folder: t.TempDir(), lines: make(chan string, 1000)}
	f.publish("..1", naming("/first"))
	f.symlink(filepath.Join("..data", "surface.yaml"), "surface.yaml")
	f.open("surface.yaml")
	f.follow()
	for version, path := range map[string]Path{"..2": "/second", "..3": "/third"} {
		f.publish(version, naming(string(path)))
		f.says("surface replaced")
		f.permits(path)
	}
}

func TestWhatChangedBeforeTheWatchIsTaken(t *testing.T) {
	f := open(t)
	f.write("surface.yaml", naming("/second"))
	f.follow()
	f.says("surface replaced")
	f.permits("/second")
}

// A watch of the directory does not show these, but a poll does.
func TestFileIsPolled(t *testing.T) {
	t.Run("behind a link", func(t *testing.T) {
		f := &fileTest{TB: t, folder: t.TempDir(), lines: make(chan string, 1000)}
		elsewhere := filepath.Join(t.TempDir(), "surface.yaml")
		f.symlink(elsewhere, "surface.yaml")
		f.write("surface.yaml", naming("/first")) // through the link
		f.open("surface.yaml")
		f.poll = 5 * time.Millisecond
		f.follow()
		f.write("surface.yaml", naming("/second"))
		f.isReplaced()
		f.permits("/second")
	})
	t.Run("in another directory of the same name", func(t *testing.T) {
		f := &fileTest{TB: t, folder: t.TempDir(), lines: make(chan string, 1000)}
		for _, path := range []string{"/first", "/second"} {
			if err := os.Mkdir(f.path(path[1:]), 0o700); err != nil {
				t.Fatal(err)
			}
			f.write(filepath.Join(path[1:], "surface.yaml"), naming(path))
		}
		f.open("first/surface.yaml")
		f.poll = 5 * time.Millisecond
		f.follow()
		f.permits("/first")
		f.rename("first", "gone")
		f.rename("second", "first")
		f.isReplaced()
		f.permits("/second")
	})
}

func TestDirectoryThatTookAnothersPlaceIsWatched(t *testing.T) {
	f := open(t)
	w := f.watch()
	defer w.close()
	f.rename(".", "../gone")
	if err := os.Mkdir(f.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	w.renew()
	f.write("surface.yaml", naming("/second"))
	for {
		select {
		case event := <-w.events:
			if event.Name == f.name && f.concerns(event) {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no event tells of the file")
		}
	}
}

func TestBadFileChangesNothing(t *testing.T) {
	f := open(t)
	f.follow()
	metrics := func(accepts, refuses, successful float64) {
		t.Helper()
		got := f.measures()
		for name, want := range map[string]float64{
			"reloads_total success": accepts, "reloads_total failure": refuses, "last_reload_successful": successful, "rules": 1,
		} {
			if got[name] != want {
				t.Errorf("%s: %v, want %v", name, got[name], want)
			}
		}
	}
	metrics(0, 0, 1)
	first := f.measures()["hash"]

	f.put(strings.Replace(naming("/second"), "query", "admin", 1))
	line := f.says("surface file refused")
	for _, want := range []string{f.name, `scope \"admin\"`, `"rulesInForce"=1`, fingerprint([]byte(naming("/first")))} {
		if !strings.Contains(line, want) {
			t.Errorf("logged %s; want %s", line, want)
		}
	}
	f.permits("/first")
	metrics(0, 1, 0)

	f.put("") // another thing that is wrong
	f.says("apiVersion")
	f.permits("/first")
	metrics(0, 2, 0)

	f.put(naming("/second"))
	f.says("surface replaced")
	f.permits("/second")
	metrics(1, 2, 1)
	if second := f.measures()["hash"]; second == first || first == 0 {
		t.Errorf("the hash was %v, and is %v", first, second)
	}

	f.put(strings.Repeat("#", MaxFileBytes) + naming("/third"))
	f.says("larger than 1048576 bytes")
	f.permits("/second")
	metrics(1, 3, 0)

	f.put(naming("/second"))
	f.says("is the surface in force again")
	f.permits("/second")
	metrics(1, 3, 1)
	f.silent()
}

func TestWhatIsNoFileChangesNothing(t *testing.T) {
	f := open(t)
	f.follow()
	f.rename("surface.yaml", "kept")
	f.says("no such file")
	if err := os.Mkdir(f.path("surface.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.says("not a regular file")
	f.permits("/first")
	if err := os.Remove(f.path("surface.yaml")); err != nil {
		t.Fatal(err)
	}
	f.says("no such file")
	f.rename("kept", "surface.yaml")
	f.says("is the surface in force again")
	f.permits("/first")
}

func TestOpenRefusesWhatIsNoSurface(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{"empty": "", "huge": strings.Repeat("#", MaxFileBytes) + naming("/first"), "half": naming("/first")[:90]} {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(FileConfig{Name: file}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	for _, name := range []string{folder, filepath.Join(folder, "missing"), "/dev/null", ""} {
		if f, err := Open(FileConfig{Name: name}); err == nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// looks drives the clock, and has no watch.
func looks(t *testing.T) (f *fileTest, look func() (waits bool), step func() (waits bool)) {
	f = open(t)
	clock := testingclock.NewFakeClock(time.Now())
	f.clock, f.settle = clock, settleTime
	var settled <-chan time.Time
	look = func() bool {
		settled = f.look()
		return settled != nil
	}
	step = func() bool {
		t.Helper()
		clock.Step(settleTime - 1)
		select {
		case <-settled:
			t.Fatal("did not wait until the file has settled")
		default:
		}
		clock.Step(1)
		<-settled
		return look()
	}
	return f, look, step
}

func TestHalfAFileIsNotTaken(t *testing.T) {
	f, look, step := looks(t)
	whole := strings.Replace(naming("/second"), "/second", "/second, /third", 1)
	half := naming("/second") // a surface, although it is not what is to be
	if look() {
		t.Fatal("waits for a file that has not changed")
	}
	f.write("surface.yaml", half)
	for range 2 { // another event comes at once
		if !look() {
			t.Fatal("a file was believed before it has settled")
		}
	}
	f.permits("/first")
	f.write("surface.yaml", whole)
	if !step() {
		t.Fatal("a file that is being written was believed")
	}
	f.permits("/first")
	if step() {
		t.Fatal("still waits")
	}
	f.says("surface replaced")
	if _, outcome := f.Lookup(Key, "GET", "/third"); outcome != Found {
		t.Error(outcome)
	}
}

func TestFileThatIsMissingForAMomentIsNoTrouble(t *testing.T) {
	f, look, step := looks(t)
	f.rename("surface.yaml", "kept")
	if !look() {
		t.Fatal("the first reading was believed")
	}
	f.rename("kept", "surface.yaml")
	if step() {
		t.Error("still waits")
	}
	f.silent()
	f.permits("/first")
}

func TestTheSameTroubleIsToldOnce(t *testing.T) {
	f, look, step := looks(t)
	for _, trouble := range []func(){
		func() { f.write("surface.yaml", "rules: []") },
		func() { f.rename("surface.yaml", "gone") },
	} {
		trouble()
		if !look() || step() {
			t.Fatal("was not believed")
		}
		f.says("refused")
		for range 3 {
			if look() {
				t.Error("what is known is looked at again")
			}
		}
		f.silent()
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	f := open(t)
	stop := f.follow()
	f.put(naming("/second"))
	f.says("surface replaced")
	stop()
	var stacks strings.Builder
	// The watcher's last goroutine has told that it ends, but may not have ended.
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		stacks.Reset()
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(stacks.String(), "fsnotify") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(stacks.String())
		}
	}
	if strings.Contains(stacks.String(), "(*File)") {
		t.Error(stacks.String())
	}
}

// A lookup sees one surface or the other, whole, and none waits.
func TestLookupsWhileTheFileIsReplaced(t *testing.T) {
	f := open(t)
	f.settle = time.Millisecond
	f.follow()
	var looking sync.WaitGroup
	var ended atomic.Bool
	for range 2 {
		looking.Go(func() {
			for !ended.Load() {
				table := f.table.Load()
				_, first := table.Lookup(Key, "GET", "/first")
				_, second := table.Lookup(Key, "GET", "/second")
				if (first == Found) == (second == Found) {
					t.Errorf("/first: %v, /second: %v", first, second)
					return
				}
				if rule, outcome := f.Lookup(Key, "GET", "/first"); outcome == Found && rule.Name != "only" {
					t.Error(rule)
				}
				runtime.Gosched()
			}
		})
	}
	for i := range 10 {
		path := []string{"/second", "/first"}[i%2]
		f.put(naming(path))
		f.says("surface replaced")
		f.permits(Path(path))
	}
	ended.Store(true)
	looking.Wait()
}

func TestLookupInAFileDoesNotAllocate(t *testing.T) {
	f := open(t)
	for _, path := range []Path{"/first", "/nowhere"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = f.Lookup(Key, "GET", path) }); n != 0 {
			t.Errorf("Lookup(%q) allocates %v times", path, n)
		}
	}
}

func BenchmarkLookupInAFile(b *testing.B) {
	f := open(b)
	f.table.Store(Default())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, outcome := f.Lookup(Key, "DELETE", "/api/v1/annotations/deploy-42"); outcome != Found {
				panic(fmt.Sprint(outcome))
			}
		}
	})
}
