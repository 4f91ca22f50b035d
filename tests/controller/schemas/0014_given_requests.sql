BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0014');
CREATE TABLE api_tokens (
	id TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	user TEXT NOT NULL, 
	role TEXT NOT NULL, 
	note TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	used_at DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (digest), 
	FOREIGN KEY(user) REFERENCES users (name)
);
INSERT INTO "api_tokens" VALUES('0123456789ab','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','ada','viewer','ci','2026-05-01 12:00:00.000000','2026-07-30 12:00:00.000000',NULL,NULL);
CREATE TABLE approvals (
	id TEXT NOT NULL, 
	"order" TEXT NOT NULL, 
	subject_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	verify BOOLEAN NOT NULL, 
	project TEXT, 
	asked_by TEXT NOT NULL, 
	asked_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	decision TEXT, 
	decided_by TEXT, 
	decided_at DATETIME, 
	PRIMARY KEY (id)
);
CREATE TABLE assignments (
	request_id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	verb TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	overwrite BOOLEAN NOT NULL, 
	boot_id TEXT, 
	state TEXT NOT NULL, 
	created_at DATETIME NOT NULL, network TEXT, disks TEXT, given TEXT, 
	PRIMARY KEY (request_id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "assignments" VALUES('e1c2abad-cd69-4432-ac8a-81c3f70e571c:image.deploy:1','e1c2abad-cd69-4432-ac8a-81c3f70e571c','ddfbc834-62b9-499a-8282-ec379f3a67fb','image.deploy',1,0,'a94b1e94-4d4a-4ace-bc1e-ac0b3ab7756b','open','2026-05-01 12:00:00.000000','{"links":[{"name":"nic0","mac":"52:54:00:00:01:01","mtu":null,"up":true,"addresses":["10.1.0.2/24"],"dhcp4":false,"dhcp6":null,"accept_ra":null,"bandwidth":{"egress_mbps":null,"ingress_mbps":null,"exempt":[]},"port_id":"eda035f9-8eae-4b77-99fb-d36c9c8a737b","kind":"ethernet"}],"routes":[{"destination":"0.0.0.0/0","link":"nic0","gateway":"10.1.0.1","table":254,"metric":0,"source":null,"onlink":false,"type":"unicast"}],"rules":[],"dns":{"servers":["10.1.0.254"],"search":[]},"firewall":{"groups":[{"id":"058a74ac-e448-48a8-a249-cf55086478fa-1","name":"web","rules":[{"direction":"in","version":4,"protocol":"tcp","first_port":22,"last_port":22,"icmp_type":null,"icmp_code":null,"remote":null,"remote_group":null},{"direction":"out","version":4,"protocol":null,"first_port":null,"last_port":null,"icmp_type":null,"icmp_code":null,"remote":null,"remote_group":null},{"direction":"out","version":6,"protocol":null,"first_port":null,"last_port":null,"icmp_type":null,"icmp_code":null,"remote":null,"remote_group":null}]}],"links":{"nic0":["058a74ac-e448-48a8-a249-cf55086478fa-1"]},"members":{}},"eips":[],"drift":"correct","allow_disconnect":false}','[{"path":"/dev/sda","wwn":"0x5000000000736461","serial":"SN-sda","size_bytes":40000000000,"logical_sector_bytes":512,"array_uuid":null},{"path":"/dev/sdb","wwn":"0x5000000000736462","serial":"SN-sdb","size_bytes":80000000000,"logical_sector_bytes":512,"array_uuid":null}]','gAAAAABrA2HbV9Czsk-VU6ENQ5L3XSyygkfvKyNi8sD08aUoDKDRYr17FlKh8aXS9rVXUjPNnPyWZLd-vM0K1p_g2aTPs2JuThZT2JFWOmDdKHhVmcNgn1bX5SzI-bayvULRKc8o0TYpBsBRwIFVNNSsw2LZhBMAAPCaBJcraZl2B6dyU6YAIMMbyDfgVruyZDtJgwYmORq0cgMquTMqhQ0R4UiK2LKeYNH1yinO9ro_tbe5Xlp3LWIIvAJW6BKESkRpzkf_Fnx3yjMJOTb7IgavY6dRL7OhUO_wbREUqlBoOpXf3vNUzOzBesf_LHoC1pG0hkGe8j8x1uHKNS7YfGt8WGNV861LXH3hA7K2nL7UL4743_N8UpZTHxuS5ISLjaHWJLSPO6XI4xt_1ecSE-K2NQdBzWVpNjFRq4mQJxvCDnSNEPe9nE57c4B97uwrGTdEHc8aVgpU8e_SQ8lpGCYUaYfZkbW9I6spTqXeHgKtMFL7HoXW_-wOoO8Tp2HND9CD8iiPejzeS-i6vzKI749mJlU3PJRubSz9YMs4OCLxkFt0gCQ3xt41KykDQc190O23mwAn32sDUAX8CFUxcOq9qO0BuwwV9btUtKUKLW7k_oz97RF5BgKFbuOkgB9bq_yTyN9mbZdn_xOOKCQt7kWQxbx9QSf50HrRZIo-FBWYqtoPZuIzwSWHpDigY7vNCEu77Uj_TFJWTQ_EOciwY-jrudEWD7DeVJXh2xMwZdqhaIYSYpQBSXA25sPKVru5wjoaTEl0tFV6VliIZr8mUXvxV9bJK15LarCNF65InNlktxb4s35Yp19QYGOjKLQPEFw6iTDMuH-LMe9cZatpVFp86CQ33hL6txyrrgw6D4uaQSws_n6p8QRlLc6Lwmz2bokFhbtPJ8PXFXTWE2Op9RxLfh55XVvbgVaxKNaTdDjx9wkTO3ChB_lQtPwbCFJkJ-V1-SCYeucz3DkQx9MKPSCPdmiMxHxUKvQNbREdufw9EM4nWgt8LP5jCJaUyN73qWxNOzITQxQ1sNwyuxhIX7rh6Wk4ENqryT4glhYuiaSDn8ZdpaFenQzyzkdUilVreGYZmsHBiUv5fLwkXhrVFh9BVn51eEn1ovATWUfgt43GkudMqIi6bHmuIsyzcJJO0h5TUynsy4M-qnXK0JCP4eXCk2ib5pz5cC-GZ8iHejkld5sF1m1eV4Rg9TLN_-jXxeocuHOLrqaYjLtylOTgkiGn57TZI-zyj6yjtT43ClyoSCAQNhWs-AZxcNWOQzkVrND8d-azSA4fWJWwEsgT0izjHxkOple15eTNV-4bBK8vMN04tC8hclYVkJsSsZpY1jbWzmHWn6E23er2ewJsKnM1MIoPEaReaVwCQLNEcBzgtvfSgfkJtcwQSfWt2K_aGSKK1HnNY6shjwbtF_qFzlt3Z4ODJ3MXvz48_KKoYBfQytfSwS7oNimNJH_UEg7Ae7AYh88hxeBg4X7A_O6cAfzI6NG3ijzNbeilPD0HuNZwj1JSBCIehcxS25-2IsYXSgNYwMOcvEpxI9GJTm6BOlaXhvgm7_dWRZOm3I1D45-iOjZKmYE0rRfjdrG-9L26wHF5hl_hP26PF8MgTDBRpMaAACv3DkgpRwv3U-R-mZMYsaKkmwsyQJH00d8UiDFJDLQDXIViVT3Rpdq9ZGdMcZSPmwE4tr4CuRZujLuM7YvM-TP4CEvBfqkI-qx0zIBrP9d3vTQMuP_ENz19qJEFVEUcWME9sTHUbzeZLJoPJav2n5Q5lZ1EOZvkAZVZp_JhM_T9qkRuxO3z1p9LMJD494GCIK6gWFhgrDNPNgtaEMvuQMyVVnMfQ9ZUVlV4cCNulUdI2gnd40InNg-c50kWSJqv1ZsXjbYw4mXsp_SFCx2RvJcmL03nvdHikxHrGPiYj3T9THFnp5DWh9sMPvklRsC98D4p7DGydi_30q5K0iRXokZA6FsnJSPi1iBTzBrQ72C9ZsMJTdqJiAPNmmFKipQzAbJa1rm-KQLXSt8T97aWJ8dFlyrcqD6eDXNKbg3wDiO38lE3DbWlNYsGdCGEYa5dgak81xq0V7awzlmJAg37xfcMOfvQFsChJHtzCy2OhLb7kx2-jTjbZIbkKeYPfKBVmDXvBV9PK_npXm3ZdB8bByPi-rJ7BjHxqMsbG3EQS1R4sVzgabkujkXqQnlKD39ryJa66gUwGXxBgFY8XqXuaspwK3EdeeqSMIjYS1hthUNn48NcIkl01hjsMof44d96eCp7vY6Wh1gMg3Ca0wCKYAxxCQHboYGm3DEkT9Hzs3rSBu3W6hok4yK3D-IJ5k_nCZu44bBgTqlmpuVs_ywmsFo1BaDdKL8ZEzFXNaKj9P_a13arP_YneO4pIpbOfeNWjhM6BPpBXRayMtIA0NR_fkLZBwNC69hnNmLiKn2aayhT6_7J4J7rLkKkJ8qzya2Juxyd-Run6kfhuUEDFSmbbMKOESWMEqrVMEqsuH5FGtQaDRSYZ6ccLYyKAot395aBV169r_YN68Hu8Wzw92Rdd5uPMEmShaM41b9g1D7G26b019yUPUCjKbLW0BD93lhw7-rf6_ObYJV2WIb3EyJfT_fnJRuZED-HoMTzmPv9WDhd32l7AaiwDgLUuEyr16PDmYfi47fpuh_UtGgYlHbvdPKYl_PIMhffpm_tO9ePDBicNMqyfQkzZbR4dE3lOvKmb0W2yc0tDhnNK9pPx02sfuV3ynYVvPQr9OKKiPu2awjD80LJ0eyhXqdqUiZN8f895wEQss2kqX1f6Cqwhd-QSVLuJbKgIMPQWu0zrdKPrsgqzxlPrzUBhK4LFhtz7gdG43VBdywOz8Oz58Gfr6aewBjjbphuEin84L4pTP-MwLkRERssBIvdS-VZWpCcHvXHSNgCm4c79GsEW9nZLbxn8Bz8vVA_ORc6PQyuDQqm4cJwkzhRSxQBspeiuUbMeFKdzSMUY2ShpMlXU42a48zmyA9Lkh-BziFvx7fygKzIlYj0fWbjk78hhddC3AimZuVx5RB1ZnJxxQDIdLSm3Jbd_3jLWEw-UqSNrsj9LAphHiWwuzVqIYdVM2jJ2X3P95CC7ECTptXSZ4usPu0SNJqjLY95x81zVkKSYSXL9ZndkBLVEJIyhjodGM728nCAVUUr3Xgol7o1oXVz4FLIWw7D87jAA2gz5tqMsKQ5_ywDOYrXCgaVzs03ngxzpZowU6rIRf1OBE8IMJvb8oLSYfQvJmrfzeA7eht1f-f6ksab6uGJodPCLjp710ncPVyeQqwdZvqfeXPtApGkSDGrNNlSpp8-TEfqXrWxQyu_-YoVOUzhifhWcbNuycX5YNO8dfZhCogTdPvqCPQrS8LbtwM161EDwRuQUB9BqP5nzYX_dJCQEuSb2WK43HgtgeoUzBOdOrN4vlEnsrhG-pnhE5r6JXvQl8JTID5I1-1xH0mXCCrzmKy4KHaWNICTXL2atyJYRFxHsAVIE9zVG2WWgJhddx22jKixpz_9DKxx96btMXSXVPKDHI87obelmErNVH1UZvvHpn5eoinzfkpargBnmMuCLQiTf6qp2fTF1F2rPgrKi03wP3aLfBnsVGdpO5uCeSGgxOF87WxFKt2lMR0EDQ2VrJ7lDm_TGc30dO1H8u5XqMsoeoJaJs4r60epSWmlxXqXBs-PzTsdQzAT0OBuApRzNKYA3mTf2Yzte7i46KisCBwZSJadCETpIZr7HyDs_uUjyK1X8toxx_x0eBt2mLwAGS262pOX2YwkibPcVXsWxwVlaOZeQppyLd4HA5oXOw5csdLwDDzKwfclHlkn2V5jWfkQsM6c2zWvGIMISZ8LhppxZLlS_56uypj8-6vJRPO9g4rlo8b0N9TvcjlmB1Zx5on3Q0uqfcbZvr6EI9TARMVlZT7Kc4K_PSj5PYKygO6rc8YLEPokLaRQIP2nh1whvyyeGTqxD78iU0gc9QHqaTsX95R40or-Hn0xnA-BBhZi50HJQkSqNiJADB5y49IyVimTiFm4I0EgnV_X2sxYzPORljQhw5NK8lj1JzD2K26ghV3snUvBKDE_ByVUeLveqETSXisq95QOW1JX4Bq67xWD68BOYm023oQrZopzi7m0pkcoBdNgK1q62drU2DNAGBAMp7n1icPHF4VvQL1PAf2y56JrzymGdrNqeqSIZINHa0AAx0ECoTi9USckEOfoT5xL2PlBF4DtbZgSKHA3sLQwvnhvsTXcks7Ye7DvWmWuxLNTkNEEKDF6wQT3-BwIaAglVdczArMOakDjjsj0K2uath3u-49Bc9lGH16gIJDZYB1SmNZa-N9Sd7JiR4XzzprsVexYn1yoAPv6WBVPG_Y8lWPXJQl5C6_ymArWuR-7R7mk4LnWycZZuVrPeWefArpHRXW7u1IBXC6YccLRxwwdV269I0sugRSHrgfOBvHMRlwMl7bURLQcFj57bG221c8c6xTfdHXNqvdwYUNrf632eK0P');
CREATE TABLE audit (
	id TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	who TEXT NOT NULL, 
	role TEXT NOT NULL, 
	project TEXT, 
	token_id TEXT, 
	address TEXT NOT NULL, 
	method TEXT NOT NULL, 
	path TEXT NOT NULL, 
	subject TEXT, 
	refused TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES('019ddf5a8c00-000000000000','2026-05-01 12:00:00.000000','ada','operator','blue','0123456789ab','10.0.0.9','POST','/v1/servers','web','AUTH.FORBIDDEN');
CREATE TABLE certificates (
	request_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	signed TEXT NOT NULL, 
	session_id TEXT, 
	received_at DATETIME NOT NULL, boot TEXT DEFAULT 'own' NOT NULL, 
	PRIMARY KEY (request_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
CREATE TABLE credentials (
	digest TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	request_id TEXT, public_key TEXT, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "credentials" VALUES('697deae4c212c020fa33b086d84c4eeb06278c3bd0e15892a2627ffcc20d1c20','ddfbc834-62b9-499a-8282-ec379f3a67fb','ramdisk',NULL,NULL);
CREATE TABLE detached (
	id TEXT NOT NULL, 
	server_id TEXT NOT NULL, 
	subnet_id TEXT NOT NULL, 
	address TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (subnet_id, address), 
	FOREIGN KEY(server_id) REFERENCES servers (id), 
	FOREIGN KEY(subnet_id) REFERENCES subnets (id)
);
CREATE TABLE eips (
	id TEXT NOT NULL, 
	address TEXT NOT NULL, 
	bandwidth_mbps INTEGER NOT NULL, 
	mode TEXT NOT NULL, 
	port_id TEXT, 
	created_at DATETIME NOT NULL, project TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (address), 
	UNIQUE (port_id), 
	FOREIGN KEY(port_id) REFERENCES ports (id)
);
INSERT INTO "eips" VALUES('88d2d850-08aa-4d5a-adfe-01b4a6d268a3','203.0.113.7',5,'gateway','eda035f9-8eae-4b77-99fb-d36c9c8a737b','2026-05-01 12:00:00.000000',NULL);
CREATE TABLE flavors (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	cpu_arch TEXT NOT NULL, 
	cores INTEGER NOT NULL, 
	ram_mb INTEGER NOT NULL, 
	disks INTEGER NOT NULL, 
	disk_gb INTEGER NOT NULL, 
	disk_media TEXT, 
	nics INTEGER NOT NULL, 
	nic_mbps INTEGER, 
	firmware TEXT, 
	created_at DATETIME NOT NULL, bond TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "flavors" VALUES('98dbf8b2-0661-43dc-a5d9-6a3418b9d11e','small','x86_64',2,1024,1,10,NULL,1,NULL,NULL,'2026-05-01 12:00:00.000000',NULL);
CREATE TABLE "images" (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	format TEXT NOT NULL, 
	min_disk_gb INTEGER NOT NULL, 
	firmware TEXT NOT NULL, 
	agent BOOLEAN, 
	url TEXT, 
	sha256 TEXT, 
	file_bytes BIGINT, 
	size_bytes BIGINT, 
	created_at DATETIME NOT NULL, 
	status TEXT DEFAULT 'active' NOT NULL, 
	sector_bytes INTEGER, 
	mirrors TEXT DEFAULT '[]' NOT NULL, 
	sha512 TEXT, 
	checksums TEXT, 
	access TEXT DEFAULT '{}' NOT NULL, 
	fault TEXT, project TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "images" VALUES('10178282-ebb8-42c6-b822-13f175105b81','debian','raw.zst',1,'both',1,'http://controller.example:8480/d','abababababababababababababababababababababababababababababababab',NULL,NULL,'2026-05-01 12:00:00.000000','active',NULL,'[]',NULL,NULL,'{"bearer":null,"username":null,"password":null,"ca_pem":null,"proxy":null}',NULL,NULL);
CREATE TABLE imports (
	image_id TEXT NOT NULL, 
	step TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	kind TEXT, 
	file TEXT NOT NULL, 
	url TEXT, 
	access TEXT NOT NULL, 
	sha256 TEXT, 
	sha512 TEXT, 
	spec TEXT NOT NULL, 
	doing TEXT NOT NULL, 
	done_bytes BIGINT NOT NULL, 
	total_bytes BIGINT, 
	ordered_at DATETIME NOT NULL, 
	PRIMARY KEY (image_id), 
	FOREIGN KEY(image_id) REFERENCES images (id)
);
CREATE TABLE inventories (
	node_id TEXT NOT NULL, 
	inventory TEXT NOT NULL, 
	taken_at DATETIME NOT NULL, 
	PRIMARY KEY (node_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "inventories" VALUES('ddfbc834-62b9-499a-8282-ec379f3a67fb','{"system":{"vendor":"Example","product":"Box","serial":"BOX1","uuid":"4c4c4544-0000-4000-8000-000000000001","firmware_vendor":null,"firmware_version":null,"firmware_date":null,"firmware_mode":"bios","asset_tag":null},"cpu":{"architecture":"x86_64","model":null,"sockets":null,"cores":4,"threads":8,"numa_nodes":null,"flags":[],"microcode":null,"max_mhz":null},"memory":{"total_bytes":4294967296,"physical_bytes":4294967296,"slots":null,"dimms":[]},"disks":[{"name":"sda","path":"/dev/sda","size_bytes":40000000000,"vendor":null,"model":null,"serial":"SN-sda","wwn":"0x5000000000736461","transport":"sata","rotational":false,"logical_sector_bytes":512,"physical_sector_bytes":512,"removable":false,"read_only":false,"by_path":null,"hctl":null,"firmware":null,"contents":[],"users":[]},{"name":"sdb","path":"/dev/sdb","size_bytes":80000000000,"vendor":null,"model":null,"serial":"SN-sdb","wwn":"0x5000000000736462","transport":"sata","rotational":false,"logical_sector_bytes":512,"physical_sector_bytes":512,"removable":false,"read_only":false,"by_path":null,"hctl":null,"firmware":null,"contents":[],"users":[]}],"nics":[{"name":"eno1","mac":"52:54:00:00:01:01","current_mac":"52:54:00:00:01:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null},{"name":"eno2","mac":"52:54:00:00:02:01","current_mac":"52:54:00:00:02:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null}]}','2026-05-01 12:00:00.000000');
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	operation TEXT NOT NULL, 
	hard BOOLEAN NOT NULL, 
	node_id TEXT NOT NULL, 
	server_id TEXT, 
	status TEXT NOT NULL, 
	stage TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	phase_at DATETIME NOT NULL, 
	boot_id TEXT, 
	request_id TEXT, 
	power_wanted TEXT, 
	power_at DATETIME, 
	fault TEXT, 
	begun_at DATETIME NOT NULL, 
	ended_at DATETIME, verify BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id), 
	FOREIGN KEY(server_id) REFERENCES servers (id)
);
INSERT INTO "jobs" VALUES('e1c2abad-cd69-4432-ac8a-81c3f70e571c','create',0,'ddfbc834-62b9-499a-8282-ec379f3a67fb','df19376f-4dac-4432-9a06-0c0c4c7c274b','INIT','ramdisk','waiting for the agent','2026-05-01 12:00:00.000000','a94b1e94-4d4a-4ace-bc1e-ac0b3ab7756b','e1c2abad-cd69-4432-ac8a-81c3f70e571c:image.deploy:1',NULL,NULL,NULL,'2026-05-01 12:00:00.000000',NULL,0);
INSERT INTO "jobs" VALUES('5a0c2d5e-8a0b-4c59-a1ea-6f8e0e5d7c11','validate',0,'ddfbc834-62b9-499a-8282-ec379f3a67fb',NULL,'SUCCESS','ramdisk','validate','2026-05-01 11:00:00.000000',NULL,NULL,NULL,NULL,NULL,'2026-05-01 11:00:00.000000','2026-05-01 11:01:00.000000',0);
CREATE TABLE keypairs (
	name TEXT NOT NULL, 
	public_key TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	created_at DATETIME NOT NULL, project TEXT, 
	PRIMARY KEY (name)
);
INSERT INTO "keypairs" VALUES('me','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f someone@example','SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA','2026-05-01 12:00:00.000000',NULL);
CREATE TABLE node_macs (
	mac TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	PRIMARY KEY (mac), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "node_macs" VALUES('52:54:00:00:01:01','ddfbc834-62b9-499a-8282-ec379f3a67fb');
INSERT INTO "node_macs" VALUES('52:54:00:00:02:01','ddfbc834-62b9-499a-8282-ec379f3a67fb');
CREATE TABLE nodes (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	boot_mac TEXT NOT NULL, 
	state TEXT NOT NULL, 
	maintenance BOOLEAN NOT NULL, 
	clean BOOLEAN NOT NULL, 
	boot_target TEXT NOT NULL, 
	power TEXT NOT NULL, 
	bmc TEXT, 
	fault TEXT, 
	server_id TEXT, 
	job_id TEXT, 
	session_id TEXT, 
	controller_url TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	desired_digest TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, fingerprint TEXT, revoked BOOLEAN DEFAULT 0 NOT NULL, rack TEXT, boot_order TEXT, asked_at DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	UNIQUE (identity), 
	UNIQUE (server_id)
);
INSERT INTO "nodes" VALUES('ddfbc834-62b9-499a-8282-ec379f3a67fb','node-525400000101','smbios:4c4c4544-0000-4000-8000-000000000001','52:54:00:00:01:01','deploying',0,0,'ramdisk','On',NULL,NULL,'df19376f-4dac-4432-9a06-0c0c4c7c274b','e1c2abad-cd69-4432-ac8a-81c3f70e571c','ddb01985-3e10-457f-bd81-d8620521e4df','http://controller.example:8480',2,'9305447a43f53afdcce86a78fe2d91008505f8b4a3522f822a5a249bc987b184','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000','K3QX-7MZA-P2DF',0,'r7',NULL,NULL);
CREATE TABLE os_inventories (
	node_id TEXT NOT NULL, 
	inventory TEXT NOT NULL, 
	taken_at DATETIME NOT NULL, 
	PRIMARY KEY (node_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "os_inventories" VALUES('ddfbc834-62b9-499a-8282-ec379f3a67fb','{"system":{"vendor":"Example","product":"Box","serial":"BOX1","uuid":"4c4c4544-0000-4000-8000-000000000001","firmware_vendor":null,"firmware_version":null,"firmware_date":null,"firmware_mode":"bios","asset_tag":null},"cpu":{"architecture":"x86_64","model":null,"sockets":null,"cores":4,"threads":8,"numa_nodes":null,"flags":[],"microcode":null,"max_mhz":null},"memory":{"total_bytes":4294967296,"physical_bytes":4294967296,"slots":null,"dimms":[]},"disks":[{"name":"sda","path":"/dev/sda","size_bytes":40000000000,"vendor":null,"model":null,"serial":"SN-sda","wwn":"0x5000000000736461","transport":"sata","rotational":false,"logical_sector_bytes":512,"physical_sector_bytes":512,"removable":false,"read_only":false,"by_path":null,"hctl":null,"firmware":null,"contents":[],"users":[]},{"name":"sdb","path":"/dev/sdb","size_bytes":80000000000,"vendor":null,"model":null,"serial":"SN-sdb","wwn":"0x5000000000736462","transport":"sata","rotational":false,"logical_sector_bytes":512,"physical_sector_bytes":512,"removable":false,"read_only":false,"by_path":null,"hctl":null,"firmware":null,"contents":[],"users":[]}],"nics":[{"name":"eno1","mac":"52:54:00:00:01:01","current_mac":"52:54:00:00:01:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null},{"name":"eno2","mac":"52:54:00:00:02:01","current_mac":"52:54:00:00:02:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null}]}','2026-05-01 15:00:00.000000');
CREATE TABLE passes (
	digest TEXT NOT NULL, 
	mac TEXT, 
	rack TEXT, 
	"left" INTEGER NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	PRIMARY KEY (digest)
);
INSERT INTO "passes" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',NULL,'r7',39,'ada','2026-05-01 12:00:00.000000','2026-05-02 12:00:00.000000',NULL);
CREATE TABLE phases (
	id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	began_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "phases" VALUES('e1c2abad-cd69-4432-ac8a-81c3f70e571c:0000','e1c2abad-cd69-4432-ac8a-81c3f70e571c',0,'waiting for the agent','2026-05-01 12:00:00.000000',NULL);
CREATE TABLE ports (
	id TEXT NOT NULL, 
	server_id TEXT NOT NULL, 
	subnet_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	mac TEXT NOT NULL, 
	address TEXT, security_groups TEXT DEFAULT '[]' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (subnet_id, address), 
	FOREIGN KEY(server_id) REFERENCES servers (id), 
	FOREIGN KEY(subnet_id) REFERENCES subnets (id)
);
INSERT INTO "ports" VALUES('eda035f9-8eae-4b77-99fb-d36c9c8a737b','df19376f-4dac-4432-9a06-0c0c4c7c274b','b47df5db-d79c-41c2-9a2a-245708be7af9',0,'52:54:00:00:01:01','10.1.0.2','["058a74ac-e448-48a8-a249-cf55086478fa"]');
CREATE TABLE quarantined (
	id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	disk TEXT NOT NULL, 
	why TEXT NOT NULL, 
	since DATETIME NOT NULL, 
	accepted_by TEXT, 
	accepted_at DATETIME, wwn TEXT, shared BOOLEAN, 
	PRIMARY KEY (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "quarantined" VALUES('ddfbc834-62b9-499a-8282-ec379f3a67fb:SN-dead','ddfbc834-62b9-499a-8282-ec379f3a67fb','SN-dead','failed: 3 of 3 canaries are still there','2026-05-01 12:00:00.000000',NULL,NULL,'0x5000c500deadbeef',NULL);
CREATE TABLE security_groups (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at DATETIME NOT NULL, project TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "security_groups" VALUES('default','default','2026-11-21 23:51:06.876612',NULL);
INSERT INTO "security_groups" VALUES('058a74ac-e448-48a8-a249-cf55086478fa','web','2026-05-01 12:00:00.000000',NULL);
CREATE TABLE security_rules (
	id TEXT NOT NULL, 
	group_id TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(group_id) REFERENCES security_groups (id)
);
INSERT INTO "security_rules" VALUES('default-out-4','default','{"direction": "out", "version": 4}','2026-11-21 23:51:06.876612');
INSERT INTO "security_rules" VALUES('default-out-6','default','{"direction": "out", "version": 6}','2026-11-21 23:51:06.876612');
INSERT INTO "security_rules" VALUES('default-in-4','default','{"direction": "in", "version": 4, "remote_group": "default"}','2026-11-21 23:51:06.876612');
INSERT INTO "security_rules" VALUES('default-in-6','default','{"direction": "in", "version": 6, "remote_group": "default"}','2026-11-21 23:51:06.876612');
INSERT INTO "security_rules" VALUES('ace33891-6520-465f-8526-c31f49901c3d','058a74ac-e448-48a8-a249-cf55086478fa','{"direction":"out","version":4,"protocol":null,"first_port":null,"last_port":null,"icmp_type":null,"icmp_code":null,"remote":null,"remote_group":null}','2026-05-01 12:00:00.000000');
INSERT INTO "security_rules" VALUES('47835015-a98d-4b30-a3b0-adb7074bb87b','058a74ac-e448-48a8-a249-cf55086478fa','{"direction":"out","version":6,"protocol":null,"first_port":null,"last_port":null,"icmp_type":null,"icmp_code":null,"remote":null,"remote_group":null}','2026-05-01 12:00:00.000000');
INSERT INTO "security_rules" VALUES('0c8533f4-5c75-4bea-9a66-12d6cd2c53ee','058a74ac-e448-48a8-a249-cf55086478fa','{"direction":"in","version":4,"protocol":"tcp","first_port":22,"last_port":22,"icmp_type":null,"icmp_code":null,"remote":null,"remote_group":null}','2026-05-01 12:00:00.000000');
CREATE TABLE servers (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	status TEXT NOT NULL, 
	task_state TEXT, 
	flavor_id TEXT NOT NULL, 
	image_id TEXT NOT NULL, 
	key_name TEXT, 
	user_data TEXT, 
	metadata TEXT NOT NULL, 
	root_device TEXT, 
	disk TEXT NOT NULL, 
	node_id TEXT, 
	job_id TEXT, 
	owns_disk BOOLEAN NOT NULL, 
	deploy_id TEXT, 
	phone_home TEXT, 
	boot_proof TEXT, 
	machine_id TEXT, 
	fault TEXT, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	launched_at DATETIME, 
	deleted_at DATETIME, bond TEXT, drift TEXT DEFAULT 'correct' NOT NULL, project TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "servers" VALUES('df19376f-4dac-4432-9a06-0c0c4c7c274b','web','BUILD','building','98dbf8b2-0661-43dc-a5d9-6a3418b9d11e','10178282-ebb8-42c6-b822-13f175105b81','me',NULL,'{}',NULL,'{"serial":"SN-sda","wwn":"0x5000000000736461","by_path":null,"size_bytes":40000000000}','ddfbc834-62b9-499a-8282-ec379f3a67fb','e1c2abad-cd69-4432-ac8a-81c3f70e571c',0,'e1c2abad-cd69-4432-ac8a-81c3f70e571c:image.deploy:1',NULL,NULL,NULL,NULL,'2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000',NULL,NULL,NULL,'correct',NULL);
CREATE TABLE sessions (
	session_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	boot_id TEXT NOT NULL, 
	agent_version TEXT NOT NULL, 
	opened_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	heartbeat_at DATETIME, 
	sequence INTEGER NOT NULL, 
	applied_generation INTEGER NOT NULL, 
	network TEXT, 
	progress TEXT, 
	problems TEXT NOT NULL, boot TEXT DEFAULT 'own' NOT NULL, 
	PRIMARY KEY (session_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "sessions" VALUES('ddb01985-3e10-457f-bd81-d8620521e4df','ddfbc834-62b9-499a-8282-ec379f3a67fb','ramdisk','a94b1e94-4d4a-4ace-bc1e-ac0b3ab7756b','1','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000',NULL,0,0,NULL,NULL,'[]','own');
CREATE TABLE streams (
	stream_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	acknowledged INTEGER NOT NULL, 
	PRIMARY KEY (stream_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
CREATE TABLE subnets (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	vpc_id TEXT NOT NULL, 
	cidr TEXT NOT NULL, 
	gateway TEXT NOT NULL, 
	dns TEXT NOT NULL, 
	mtu INTEGER, 
	dhcp BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, routes TEXT DEFAULT '[]' NOT NULL, routed BOOLEAN DEFAULT 1 NOT NULL, project TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	FOREIGN KEY(vpc_id) REFERENCES vpcs (id)
);
INSERT INTO "subnets" VALUES('b47df5db-d79c-41c2-9a2a-245708be7af9','net','f64d6c03-4923-4539-a72f-8b042188a1c1','10.1.0.0/24','10.1.0.1','["10.1.0.254"]',NULL,0,'2026-05-01 12:00:00.000000','[]',1,NULL);
CREATE TABLE tokens (
	digest TEXT NOT NULL, 
	mac TEXT NOT NULL, 
	expires_at DATETIME NOT NULL, 
	boot_id TEXT, 
	identity TEXT, public_key TEXT, boot TEXT DEFAULT 'own' NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "tokens" VALUES('cdea4183f762f11dafbf76392d5716cba9a60c8b51d04c76e97dac4df0d7bfc0','52:54:00:00:01:01','2026-05-01 13:00:00.000000','a94b1e94-4d4a-4ace-bc1e-ac0b3ab7756b','smbios:4c4c4544-0000-4000-8000-000000000001',NULL,'own');
CREATE TABLE users (
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	project TEXT, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "users" VALUES('ada','operator','blue','2026-05-01 12:00:00.000000');
CREATE TABLE validations (
	job_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	"order" TEXT NOT NULL, 
	ordered_by TEXT NOT NULL, 
	ordered_at DATETIME NOT NULL, 
	found TEXT, 
	PRIMARY KEY (job_id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "validations" VALUES('5a0c2d5e-8a0b-4c59-a1ea-6f8e0e5d7c11','ddfbc834-62b9-499a-8282-ec379f3a67fb','{"profile":"quick","parts":["cpu"],"tests":[],"settings":{},"time_limit_s":null}','ada','2026-05-01 11:00:00.000000','{"state":"passed","verdicts":[{"test":"cpu.answers","part":"cpu","subject":"","state":"passed","code":"OK","told":"","figures":{"answers":12}}]}');
CREATE TABLE vpcs (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	cidr TEXT NOT NULL, 
	created_at DATETIME NOT NULL, segment TEXT DEFAULT 'flat' NOT NULL, segment_id INTEGER, number INTEGER DEFAULT '0' NOT NULL, project TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "vpcs" VALUES('f64d6c03-4923-4539-a72f-8b042188a1c1','cloud','10.0.0.0/8','2026-05-01 12:00:00.000000','flat',NULL,1,NULL);
CREATE INDEX ix_node_macs_node_id ON node_macs (node_id);
CREATE INDEX ix_sessions_node_id ON sessions (node_id);
CREATE INDEX ix_credentials_node_id ON credentials (node_id);
CREATE INDEX ix_ports_server_id ON ports (server_id);
CREATE INDEX ix_detached_server_id ON detached (server_id);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE INDEX ix_jobs_server_id ON jobs (server_id);
CREATE INDEX ix_phases_job_id ON phases (job_id);
CREATE INDEX ix_assignments_job_id ON assignments (job_id);
CREATE INDEX ix_images_sha256 ON images (sha256);
CREATE UNIQUE INDEX ix_vpcs_segment ON vpcs (segment, segment_id);
CREATE UNIQUE INDEX ix_vpcs_number ON vpcs (number);
CREATE INDEX ix_security_rules_group_id ON security_rules (group_id);
CREATE INDEX ix_images_project ON images (project);
CREATE INDEX ix_vpcs_project ON vpcs (project);
CREATE INDEX ix_subnets_project ON subnets (project);
CREATE INDEX ix_security_groups_project ON security_groups (project);
CREATE INDEX ix_keypairs_project ON keypairs (project);
CREATE INDEX ix_servers_project ON servers (project);
CREATE INDEX ix_eips_project ON eips (project);
CREATE INDEX ix_api_tokens_user ON api_tokens (user);
CREATE INDEX ix_audit_project ON audit (project);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE INDEX ix_certificates_node_id ON certificates (node_id);
CREATE INDEX ix_quarantined_node_id ON quarantined (node_id);
CREATE INDEX ix_validations_node_id ON validations (node_id);
CREATE INDEX ix_tokens_mac ON tokens (mac);
CREATE INDEX ix_approvals_subject_id ON approvals (subject_id);
COMMIT;
