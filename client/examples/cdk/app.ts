// SPDX-License-Identifier: Apache-2.0
/*
 * A function in Python with shmconf's layer, and the AppConfig configuration that it reads.
 *
 *     npx cdk deploy                              for x86_64
 *     npx cdk deploy -c architecture=arm64
 *     npx cdk deploy -c layer=/elsewhere/shmconf-layer-x86_64.zip
 */
import { App, CfnOutput, Duration, Stack, StackProps } from 'aws-cdk-lib';
import * as appconfig from 'aws-cdk-lib/aws-appconfig';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';

// Of Node.js, whose types are not installed for two functions.
declare const process: { exit(status: number): never };
declare function require(name: 'fs'): { existsSync(path: string): boolean };
const { existsSync } = require('fs');

const ARCHITECTURES = new Map([
    ['x86_64', lambda.Architecture.X86_64],
    ['arm64', lambda.Architecture.ARM_64],
]);
const NAMES = { application: 'Shop', environment: 'Prod', profile: 'Users' };

/* With one line, where an exception would print a stack. */
function fail(reason: string): never {
    console.error(reason);
    process.exit(1);
}

class Users extends Stack {
    constructor(scope: Construct, id: string, props?: StackProps) {
        super(scope, id, props);
        const environment = this.addConfiguration();
        const handler = this.addFunction();

        // StartConfigurationSession and GetLatestConfiguration, of this environment.
        environment.grantReadConfig(handler);
        new CfnOutput(this, 'FunctionName', { value: handler.functionName });
    }

    private addConfiguration(): appconfig.IEnvironment {
        const application = new appconfig.Application(this, 'Application', {
            applicationName: NAMES.application,
        });
        const environment = application.addEnvironment('Environment', {
            environmentName: NAMES.environment,
        });
        new appconfig.HostedConfiguration(this, 'Configuration', {
            application,
            name: NAMES.profile,
            content: appconfig.ConfigurationContent.fromInlineJson(
                JSON.stringify([{ username: 'alice' }, { username: 'bob' }])),
            deployTo: [environment],
            deploymentStrategy: new appconfig.DeploymentStrategy(this, 'AtOnce', {
                rolloutStrategy: appconfig.RolloutStrategy.ALL_AT_ONCE,
            }),
        });
        return environment;
    }

    private addFunction(): lambda.Function {
        const name = this.node.tryGetContext('architecture') ?? 'x86_64';
        const architecture = ARCHITECTURES.get(name)
            ?? fail(`-c architecture=${name}: it is one of ${[...ARCHITECTURES.keys()].join(', ')}`);
        const zip = this.node.tryGetContext('layer')
            ?? `../../../build/layer/shmconf-layer-${name}.zip`;
        if (!existsSync(zip)) {
            fail(`${zip} is missing: tools/layer/build ${name} makes the layer, `
                + '-c layer=ZIP names another');
        }
        const layer = new lambda.LayerVersion(this, 'Shmconf', {
            code: lambda.Code.fromAsset(zip),
            compatibleArchitectures: [architecture],
            description: 'shmconf: AppConfig in shared memory and on localhost:2772',
        });
        return new lambda.Function(this, 'Function', {
            architecture,
            runtime: lambda.Runtime.PYTHON_3_13,
            code: lambda.Code.fromAsset('../lambda-python', { exclude: ['README.md'] }),
            handler: 'handler.handler',
            layers: [layer],
            timeout: Duration.seconds(10),
            environment: {
                APP_NAME: NAMES.application,
                ENV_NAME: NAMES.environment,
                PROFILE_NAME: NAMES.profile,
                AWS_APPCONFIG_EXTENSION_PREFETCH_LIST:
                    `${NAMES.application}:${NAMES.environment}:${NAMES.profile}`,
            },
        });
    }
}

new Users(new App(), 'ShmconfExample');
