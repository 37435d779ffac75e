# SPDX-License-Identifier: Apache-2.0
"""client/examples/cdk: what `cdk synth` makes of it, without AWS and without a network."""
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2]
EXAMPLES = SOURCES / "client" / "examples"
MODULES = SOURCES / "build" / "tools" / "cdk" / "node_modules"
READ = ["appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession"]

SYNTH = ("cdk", "synth", "--quiet", "--no-lookups", "--no-notices")
# What cdk.json says, without the compiler.
COMPILED = ("--app", "node cdk.build/app.js")


class Project:
    """A copy of the app where it lies in the repository, with layers that stand in for the built."""

    def __init__(self, root):
        self.root = root
        self.folder = root / "client" / "examples" / "cdk"
        self.folder.mkdir(parents=True)
        for name in ("app.ts", "cdk.json", "tsconfig.json"):
            shutil.copy(EXAMPLES / "cdk" / name, self.folder)
        shutil.copytree(EXAMPLES / "lambda-python", self.folder.parent / "lambda-python",
                        ignore=shutil.ignore_patterns("__pycache__"))
        (self.folder / "node_modules").symlink_to(MODULES)
        for architecture in ("x86_64", "arm64"):
            zipped = self.layer(architecture)
            zipped.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(zipped, "w") as archive:
                archive.writestr("extensions/shmconfd", f"for {architecture}")
        self.run("tsc")

    def layer(self, architecture):
        return self.root / "build" / "layer" / f"shmconf-layer-{architecture}.zip"

    def start(self, *command):
        # No credentials, and nobody to talk to: whoever tries to fails.
        environment = {"PATH": f"{MODULES / '.bin'}:{os.environ['PATH']}", "HOME": str(self.root),
                       "HTTPS_PROXY": "http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true",
                       "CDK_DISABLE_CLI_TELEMETRY": "true"}
        return subprocess.run(list(map(str, command)), cwd=self.folder, env=environment, text=True,
                              capture_output=True, check=False)

    def run(self, *command):
        ran = self.start(*command)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def synthesize(self, *options):
        """The stack's resources, and the folder with the assets."""
        output = self.root / f"out-{len(list(self.root.glob('out-*')))}"
        self.run(*SYNTH, "--output", output, *options)
        template = json.loads((output / "ShmconfExample.template.json").read_text())
        return Stack(template["Resources"], output)


class Stack:
    def __init__(self, resources, output):
        self.resources = resources
        self.output = output

    def only(self, kind):
        """Logical id and properties of the one resource of a kind."""
        found = [(name, resource["Properties"]) for name, resource in self.resources.items()
                 if resource["Type"] == kind]
        assert len(found) == 1, (kind, found)
        return found[0]

    def asset(self, properties):
        return self.output / f"asset.{properties['S3Key'].removesuffix('.zip')}"


def check(stack, project, architecture):
    """What has to be right for the function to read its configuration."""
    application, application_is = stack.only("AWS::AppConfig::Application")
    environment, environment_is = stack.only("AWS::AppConfig::Environment")
    profile, profile_is = stack.only("AWS::AppConfig::ConfigurationProfile")
    version, version_is = stack.only("AWS::AppConfig::HostedConfigurationVersion")
    strategy, _ = stack.only("AWS::AppConfig::DeploymentStrategy")
    layer, layer_is = stack.only("AWS::Lambda::LayerVersion")
    _, function = stack.only("AWS::Lambda::Function")
    _, policy = stack.only("AWS::IAM::Policy")
    _, deployment = stack.only("AWS::AppConfig::Deployment")

    assert json.loads(version_is["Content"]) == [{"username": "alice"}, {"username": "bob"}]
    assert version_is["ContentType"] == "application/json"
    assert deployment == {
        "ApplicationId": {"Ref": application}, "EnvironmentId": {"Ref": environment},
        "ConfigurationProfileId": {"Ref": profile}, "ConfigurationVersion": {"Ref": version},
        "DeploymentStrategyId": {"Ref": strategy}}

    names = (application_is["Name"], environment_is["Name"], profile_is["Name"])
    assert function["Environment"]["Variables"] == {
        "APP_NAME": names[0], "ENV_NAME": names[1], "PROFILE_NAME": names[2],
        "AWS_APPCONFIG_EXTENSION_PREFETCH_LIST": ":".join(names)}
    assert function["Handler"] == "handler.handler"
    assert function["Runtime"].startswith("python3.")
    handler = stack.asset(function["Code"])
    assert sorted(os.listdir(handler)) == ["handler.py"]
    assert (handler / "handler.py").read_text() == \
        (EXAMPLES / "lambda-python" / "handler.py").read_text()

    assert function.get("Layers") == [{"Ref": layer}]
    assert function["Architectures"] == layer_is["CompatibleArchitectures"] == [architecture]
    zipped = Path(f"{stack.asset(layer_is['Content'])}.zip")
    assert zipped.read_bytes() == project.layer(architecture).read_bytes()

    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], sorted(statement["Action"])) == ("Allow", READ)
    resource = statement["Resource"]["Fn::Join"][1]
    assert resource[-5:] == [":application/", {"Ref": application}, "/environment/",
                             {"Ref": environment}, "/configuration/*"]
    assert policy["Roles"] == [{"Ref": function["Role"]["Fn::GetAtt"][0]}]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    if not MODULES.is_dir():
        pytest.skip("the CDK is not installed; tests/deps --all does it")
    return Project(tmp_path_factory.mktemp("cdk"))


def test_the_function_has_its_layer_its_configuration_and_may_read_it(project):
    check(project.synthesize(*COMPILED), project, "x86_64")
    check(project.synthesize(*COMPILED, "--context", "architecture=arm64"), project, "arm64")


def test_cdk_finds_the_app_by_cdk_json(project):
    """As who follows the README types it."""
    shutil.rmtree(project.folder / "cdk.build")
    project.run("npx", "cdk", "synth", "--quiet")
    template = json.loads((project.folder / "cdk.out/ShmconfExample.template.json").read_text())
    check(Stack(template["Resources"], project.folder / "cdk.out"), project, "x86_64")


@pytest.mark.parametrize("option, line", [
    ("architecture=arm", "-c architecture=arm: it is one of x86_64, arm64"),
    ("layer=/nowhere/layer.zip", "/nowhere/layer.zip is missing: tools/layer/build x86_64 makes the "
                                 "layer, -c layer=ZIP names another"),
])
def test_what_cannot_be_is_one_line(project, option, line):
    ran = project.start(*SYNTH, *COMPILED, "--context", option)
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [line, "node cdk.build/app.js: Subprocess exited with error 1"]


@pytest.mark.parametrize("line, instead", [
    ("environment.grantReadConfig(handler);", ""),
    ("layers: [layer],", ""),
    ("deployTo: [environment],", ""),
    ("`${NAMES.application}:${NAMES.environment}:${NAMES.profile}`", "'Shop:Prod:Other'"),
])
def test_a_mistake_is_found(project, line, instead):
    script = project.folder / "cdk.build" / "app.js"
    right = script.read_text()
    assert right.count(line) == 1
    script.write_text(right.replace(line, instead))
    try:
        stack = project.synthesize(*COMPILED)
        with pytest.raises(AssertionError):
            check(stack, project, "x86_64")
    finally:
        script.write_text(right)


def test_a_mistake_in_cdk_json_is_found(project):
    settings = project.folder / "cdk.json"
    right = settings.read_text()
    assert right.count("app.js") == 1
    settings.write_text(right.replace("app.js", "main.js"))
    try:
        assert project.start(*SYNTH).returncode == 1
    finally:
        settings.write_text(right)
